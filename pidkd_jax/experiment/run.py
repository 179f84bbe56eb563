"""Run an experiment: train its cohort in a folder, evaluate it, and save each member's bundle."""

import dataclasses
import functools
import logging
import pathlib
import shlex
import sys
from collections.abc import Callable, Collection, Iterable

import jax
import numpy as np

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import assembly, inputs, own_parts, result, workdir
from pidkd_jax.experiment.experiment import Experiment, in_precision
from pidkd_jax.parallel import device_groups, devices, held_folder, processes
from pidkd_jax.parallel.preemption import Preemption
from pidkd_jax.training import loop, metrics, partition, progress, writers
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.free_memory import MIB
from pidkd_jax.training.loop_settings import LoopSettings
from pidkd_jax.training.member import Member
from pidkd_jax.training.outcome import Diverged
from pidkd_jax.training.validation import Validation

logger = logging.getLogger(__name__)

# {member: the step at which it diverged}; these members have no bundles.
_DIVERGED = 'diverged.json'

# {'parts': the names of the members that train in lock step, part by part, as the run began;
# 'added': as much of members that it gained later}.
_PARTS = 'parts.json'


_Parts = list[list[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
  """The arguments of `execute`, for one part of a cohort.

  Attributes:
    experiment: its members are those of the part.
    dataset: to train and to evaluate on, with the normalisation of the run.
    teacher: None where no member needs one.
    folder: of the part.
    title: stands before the progress.
    execution: how it is carried out.
    start: with whose variables the students begin, or None.
  """

  experiment: Experiment
  dataset: Dataset
  teacher: Bundle | None
  folder: pathlib.Path
  title: str
  execution: Execution
  start: Bundle | None

  @property
  def normalisation(self) -> Normalisation:
    """What all networks of the run see, and methods that make views of their own."""
    return self.dataset.spec.normalisation

  def assemble(self) -> assembly.Assembly:
    teacher, start = (one and one.network for one in (self.teacher, self.start))
    return assembly.assemble(self.experiment, self.dataset, teacher, start)

  def moved(self, move: Callable) -> '_Run':
    """Return the run with the variables of teacher and start elsewhere."""
    teacher, start = (_moved(one, move) for one in (self.teacher, self.start))
    return dataclasses.replace(self, teacher=teacher, start=start)


def _normalised(dataset: Dataset, source: Bundle | None) -> Dataset:
  """Return the dataset with a bundle's normalisation, so that networks see the pixels that it saw.

  Equal statistics change nothing, as programs are compiled for the dataset's own description.
  """
  if source is None:
    return dataset
  ours, theirs = dataset.spec.normalisation, source.normalisation
  if jax.tree.all(jax.tree.map(np.array_equal, ours.arrays(), theirs.arrays())):
    return dataset
  return dataclasses.replace(dataset, spec=dataclasses.replace(dataset.spec, normalisation=theirs))


def _moved(loaded: Bundle | None, move: Callable) -> Bundle | None:
  if loaded is None:
    return None
  network = loaded.network.replace(variables=move(loaded.network.variables))
  return dataclasses.replace(loaded, network=network)


def is_complete(folder: pathlib.Path, members: Iterable[Member]) -> bool:
  """Return whether every member has its bundle or diverged, and at least one has."""
  bundles, diverged = set(), set()
  for part in inputs.begun(folder):
    bundles |= {path.name for path in (part / 'bundles').glob('*')}
    diverged |= _diverged(part).keys()
  return bool(bundles) and {member.name for member in members} <= bundles | diverged


def _diverged(folder: pathlib.Path) -> dict[str, int]:
  path = folder / _DIVERGED
  with workdir.writing(folder, _DIVERGED):
    return regular_file.read_object(path) if path.exists() else {}


def execute(
  experiment: Experiment,
  dataset: Dataset,
  teacher: Bundle | None,
  folder: pathlib.Path,
  title: str,
  execution: Execution,
  start: Bundle | None = None,
) -> None:
  """Train an experiment's cohort and save each member's bundle under `folder`/bundles.

  A cohort that is larger than memory, or that several groups of devices share, trains in parts
  (`folder`/part-1, ...). So do members that were added since the run began, after the others. A
  complete part is left as it is, so its bundles keep the versions that made them.

  The caller holds the folder's lock (`workdir.locked`), from before he writes what identifies the
  run. So a second process is refused before it changes anything.

  Args:
    experiment: what is trained.
    dataset: to train and to evaluate on.
    teacher: None where no member needs one.
    folder: of the run; made if it is missing.
    title: stands before the progress.
    execution: how it is carried out.
    start: a student (`distilled.extract_student`) with whose variables the students begin.

  Raises:
    Stopped: as `loop.train`.
    Diverged: no member is finite at the end.
    UserError: as `loop.train`.
  """
  seen = _normalised(dataset, teacher or start)
  whole = _Run(experiment, seen, teacher, folder, title, execution, start)
  preemption = None if execution.signals else Preemption()
  parts = in_precision(_parts)(experiment, whole)
  if len(parts) == 1:
    _complete(whole, preemption)
    return
  if len(execution.groups) > 1:
    # Each group copies from the host.
    whole = whole.moved(jax.device_get)
  jobs, diverged = [], {}
  by_name = {member.name: member for member in experiment.members}
  for number, (place, names) in enumerate(parts.items(), start=1):
    part = dataclasses.replace(
      whole,
      experiment=dataclasses.replace(experiment, members=tuple(by_name[name] for name in names)),
      folder=place,
      title=f'{title} {number}/{len(parts)}',
    )
    jobs.append(functools.partial(_complete_or_note, part, preemption, diverged))
  device_groups.run_jobs(execution.groups, jobs)
  if diverged.keys() == {member.name for member in experiment.members}:
    raise Diverged(diverged)


def _complete_or_note(
  run: _Run, preemption: Preemption | None, diverged: dict[str, int], request: Preemption | None
) -> None:
  """Train a part; if all of its members diverge, note them, so that the other parts go on."""
  try:
    _complete(run, request or preemption)
  except Diverged as error:
    diverged |= error.steps


def keep_parts(folder: pathlib.Path, names: list[str]) -> None:
  """Write down that members train in lock step, before the run may gain others.

  Runs of one member, and those of version 0.1.0, do not say it themselves.

  Args:
    folder: of the run. Where no training has begun, or where the parts are known, nothing is done.
    names: of the members, as the run's configuration has them.
  """
  unsaid = folder in inputs.begun(folder) and not (folder / _PARTS).exists()
  if processes.any_process(unsaid)[0]:
    _write_parts(folder, [names], [])


def _write_parts(folder: pathlib.Path, parts: _Parts, added: _Parts) -> None:
  with workdir.writing(folder, _PARTS):
    folder.mkdir(parents=True, exist_ok=True)
    content = {'parts': parts} | ({'added': added} if added else {})
    workdir.write_json(folder / _PARTS, content)


def _parts(experiment: Experiment, run: _Run) -> dict[pathlib.Path, list[str]]:
  """Return {folder: the names of the members that train in lock step there}.

  The division follows from memory and groups of devices. It is written down at the first start, so
  a run can be resumed on another machine. Members that it gains later make parts of their own.
  Results are the same however members are divided.
  """
  path = run.folder / _PARTS
  names = [member.name for member in experiment.members]
  parts: _Parts = []
  added: _Parts = []
  if processes.any_process(path.exists())[0]:
    with workdir.writing(run.folder, path.name):
      saved = regular_file.read_object(path)
      if 'parts' not in saved:
        raise ValueError('it names no parts')
      parts, added = saved['parts'], saved.get('added', [])
  elif len(names) == 1 or (run.folder / 'checkpoints').exists():
    return {run.folder: names}
  known = [name for part in [*parts, *added] for name in part]
  if not set(known) <= set(names):
    raise UserError(f'{str(path)!r} is of other members; remove the run to start over')
  missing = tuple(member for member in experiment.members if member.name not in known)
  if missing:
    if parts:
      names_added = listed([member.name for member in missing])
      logger.info('%d members are kept; added: %s', len(known), names_added)
      added += _divided(missing, run)
    else:
      parts = _divided(missing, run)
    _write_parts(run.folder, parts, added)
  groups = run.execution.groups
  if len(parts) + len(added) < len(groups):
    logger.warning(
      'the members train in %d parts, so that %d of %d groups of devices have none',
      len(parts) + len(added),
      len(groups) - len(parts) - len(added),
      len(groups),
    )
  # A cohort that was never split lies in the run's own folder.
  places = [run.folder / f'part-{i}' for i in range(1, len(parts) + len(added) + 1)]
  if len(parts) == 1:
    places[0] = run.folder
  return dict(zip(places, [*parts, *added], strict=True))


def _divided(members: tuple[Member, ...], run: _Run) -> _Parts:
  """Divide members into parts that fit into memory and occupy the groups of devices."""
  experiment = dataclasses.replace(run.experiment, members=members)
  with progress.working('estimating the memory'):
    estimate = dataclasses.replace(run, experiment=experiment).assemble().memory(run.execution)
  # Processes see different amounts of free memory, and all have to divide alike.
  memory = processes.minimum(run.execution.memory // MIB) * MIB
  groups = len(run.execution.groups)
  parts = partition.over_groups(members, estimate, memory, groups)
  logger.info(
    'memory: about %.0f MiB for %d members, of %.0f MiB%s',
    estimate.total / MIB,
    len(members),
    memory / MIB,
    f'; they train in {len(parts)} parts' if len(parts) > 1 else '',
  )
  return [[member.name for member in part] for part in parts]


def _complete(run: _Run, preemption: Preemption | None) -> None:
  """Train a part unless its bundles are there already."""
  inputs.claim(run.folder, run.dataset, run.teacher, run.start)
  expected = {member.name for member in run.experiment.members}
  diverged = _diverged(run.folder)
  expected -= diverged.keys()
  if not expected:
    raise Diverged(diverged)
  if all((run.folder / 'bundles' / name).exists() for name in expected):
    for name in workdir.changed_code(run.folder, own_parts.digests(run.experiment.members)):
      logger.warning(
        'the source of %s was changed since %s was trained, and nothing is trained again; give '
        'another workdir to train it anew',
        name,
        run.folder,
      )
  else:
    with _writers(run, expected) as chosen:
      moved = run.moved(devices.put_replicated)
      in_precision(_train)(run.experiment, moved, preemption, chosen)


def _writers(run: _Run, names: Collection[str]) -> writers.ChosenWriters:
  """Open the chosen writers of a part; the primary process alone writes."""
  if not run.execution.writers or not processes.is_primary():
    return writers.NONE
  members = {
    member.name: dataclasses.asdict(member)
    for member in run.experiment.members
    if member.name in names
  }
  with progress.working(f'{run.title}: opening {listed(run.execution.writers)}', told=True):
    training = metrics.describe(run.folder, members)
    return writers.ChosenWriters(run.execution.writers, training)


def _may_have_seen(source: Bundle, experiment: Experiment, dataset: Dataset) -> bool:
  """Return whether a bundle's network may have trained on the images of the hold-out."""
  theirs = source.card['dataset'].get('fingerprint')
  if theirs not in (None, dataset.spec.fingerprint):
    return False
  return source.card.get('training', {}).get('holdout') != experiment.holdout


def _train(
  experiment: Experiment,
  run: _Run,
  preemption: Preemption | None,
  chosen: writers.ChosenWriters,
) -> None:
  workdir.record_environment(
    run.folder, shlex.join(sys.argv), own_parts.digests(experiment.members)
  )
  for what, source in (('teacher', run.teacher), ('start', run.start)):
    if experiment.holdout and source and _may_have_seen(source, experiment, run.dataset):
      logger.warning(
        'the %s was trained with another hold-out or none: it may have seen the images that '
        'select its students',
        what,
      )
  assembled = run.assemble()
  held_out = assembled.held_out
  if held_out is not None and run.execution.eval_precision != Execution.eval_precision:
    logger.warning(
      'eval_precision is %s; with a hold-out the evaluations select the epoch, so they stay %s',
      run.execution.eval_precision,
      Execution.eval_precision,
    )
  validation = Validation.of(
    'test' if held_out is None else 'holdout',
    run.dataset.test if held_out is None else held_out,
    run.normalisation,
    assembled.cohort.teacher,
    run.execution.eval_precision,
  )
  batches = assembled.batches(run.normalisation)
  try:
    outcomes, diverged = loop.train(
      assembled.cohort,
      batches,
      validation,
      run.folder,
      LoopSettings(
        title=run.title,
        labels={member.name: member.label for member in experiment.members},
        total_epochs=experiment.recipe.total_epochs,
        eval_every=experiment.eval_every,
        execution=run.execution,
      ),
      preemption,
      chosen,
    )
  except Diverged as error:
    workdir.write_json(run.folder / _DIVERGED, error.steps)
    raise
  processes.barrier('trained')  # The primary process has written all metrics.
  with progress.working(f'{run.title}: evaluating the networks'):
    evaluations = result.judge(outcomes, validation, run.dataset, run.normalisation, run.teacher)
  for name in sorted(outcomes.keys() - evaluations.keys()):
    logger.warning('%s is not finite at the end of its training; it is left out', name)
    diverged[name] = experiment.recipe.total_epochs * batches.steps_per_epoch
  if diverged:
    workdir.write_json(run.folder / _DIVERGED, diverged)
  if not evaluations:
    raise Diverged(diverged)
  held_folder.check(run.folder)
  result.save(
    assembled,
    outcomes,
    evaluations,
    validation,
    run.dataset,
    run.normalisation,
    run.teacher,
    run.start,
    run.folder,
  )
  chosen.summarise({name: one.metrics for name, one in evaluations.items()})
