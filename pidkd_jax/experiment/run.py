"""A whole run: a plan, data and a teacher in, trained bundles out."""

import dataclasses
import functools
import json
import logging
import pathlib
import shlex
import sys
from collections.abc import Callable

import jax
from clu import parameter_overview

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Network
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline import resident_batches
from pidkd_jax.data.pipeline.split import Batches, Split
from pidkd_jax.evaluation import outputs
from pidkd_jax.evaluation.cost import Cost, cost, parameters
from pidkd_jax.evaluation.evaluate import evaluate
from pidkd_jax.experiment import workdir
from pidkd_jax.nn import precision
from pidkd_jax.parallel import device_groups, devices, processes
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training import loop, memory, metrics
from pidkd_jax.training.cohort import Cohort, Member
from pidkd_jax.training.optimizer import optimizer
from pidkd_jax.training.recipe import Recipe

logger = logging.getLogger(__name__)

# The step at which each of these members diverged; they have no bundles.
_DIVERGED = 'diverged.json'

# One hold-out for all seeds, so that no teacher trains on what selects its students.
_HOLD_OUT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Experiment:
  """All that decides the result of a cohort, data and teacher apart; plain values.

  Attributes:
    members: with distinct names.
    recipe: what they share.
    seed: of data order and augmentation, and with a trial's number of weights.
    padding: pixels of zero padding for the random crop.
    flip: whether training images are mirrored at random.
    holdout: share of the training split that picks each member's epoch; 0 for the last epoch.
    eval_every: epochs between evaluations.
  """

  members: tuple[Member, ...]
  recipe: Recipe
  seed: int
  padding: int
  flip: bool
  holdout: float
  eval_every: int


@dataclasses.dataclass(frozen=True)
class Execution:
  """How a plan is carried out.

  Attributes:
    checkpoint_seconds: as in `loop.LoopSettings`.
    steps_per_call: likewise.
    memory: bytes that a training may take; a cohort that needs more is split (`memory.estimate`).
    groups: of devices; each trains a part of a cohort at a time.
  """

  checkpoint_seconds: float
  steps_per_call: int
  memory: int
  groups: tuple[devices.DeviceGroup, ...]


@dataclasses.dataclass(frozen=True)
class _Stage:
  """A plan with its data at hand and its cohort put together.

  Attributes:
    cohort: ready for its first step.
    stream: of the training split, without what is held out.
    held: what is held out, or None.
  """

  cohort: Cohort
  stream: Batches
  held: Split | None


def _parted(plan: Experiment, dataset: Dataset) -> tuple[Dataset, Split | None]:
  """What a plan trains on, and what it holds out."""
  if plan.holdout:
    return dataset.hold_out(plan.holdout, _HOLD_OUT_SEED)
  return dataset, None


def check(plan: Experiment, dataset: Dataset) -> None:
  """Raises UserError where a plan's hold-out or batches do not fit the data."""
  rest, _ = _parted(plan, dataset)
  optimizer(plan.recipe, len(rest.train))


def _stage(
  plan: Experiment,
  dataset: Dataset,
  teacher: Network | None,
  normalisation: Normalisation,
  start: Network | None = None,
) -> _Stage:
  rest, held = _parted(plan, dataset)
  recipe = optimizer(plan.recipe, len(rest.train))
  stream_key, members_key = jax.random.split(jax.random.key(plan.seed))
  stream = resident_batches.make_batches(
    rest.train,
    normalisation,
    stream_key,
    batch_size=plan.recipe.batch_size,
    padding=plan.padding,
    flip=plan.flip,
    dtype=precision.find(plan.recipe.precision).dtype,
  )
  shape = (plan.recipe.batch_size, *dataset.spec.image_shape)
  cohort = cohorts.assemble(
    plan.members,
    teacher=teacher,
    dataset=rest.spec,
    image=jax.ShapeDtypeStruct(shape, stream.dtype),
    optimizer=recipe,
    key=members_key,
    start=start,
  )
  return _Stage(cohort, stream, held)


def _deployed(plan: Experiment, stage: _Stage) -> dict[str, Network]:
  """What each label would deploy, as shapes."""
  states = jax.eval_shape(Cohort.init, stage.cohort, stage.stream.shapes)
  return {
    member.label: stage.cohort.deployed(member.name, states[member.name]) for member in plan.members
  }


def _in_precision(function: Callable) -> Callable:
  """Of a function of a plan: all its programs are traced in the plan's precision, and so once."""

  @functools.wraps(function)
  def wrapped(plan, *rest):
    with precision.find(plan.recipe.precision).scope():
      return function(plan, *rest)

  return wrapped


@_in_precision
def costs(plan: Experiment, dataset: Dataset, teacher: Network) -> dict[str, Cost]:
  """What each label would deploy at what cost; arguments as `dry_run`'s."""
  stage = _stage(plan, dataset, teacher, dataset.spec.normalisation)
  networks = _deployed(plan, stage)
  return {label: cost(network, dataset.spec.image_shape) for label, network in networks.items()}


@_in_precision
def dry_run(
  plan: Experiment, dataset: Dataset, teacher: Network, start: Network | None = None
) -> dict[str, Cost]:
  """Puts a plan together without training, and says what it would deploy at what cost.

  Args:
    plan: of the students.
    dataset: to train on.
    teacher: arrays or, before it is trained, shapes.
    start: what the students begin with (`cohort.assemble`).

  Returns:
    {label: cost}.

  Raises:
    UserError: whatever in the plan cannot be trained.
  """
  stage = _stage(plan, dataset, teacher, dataset.spec.normalisation, start)
  image_shape = dataset.spec.image_shape
  networks = _deployed(plan, stage)
  label, network = next(iter(networks.items()))
  overview = parameter_overview.get_parameter_overview(
    network.variables['params'], include_stats=False
  )
  logger.info('what %s deploys:\n%s', label, overview)
  budget = cost(teacher, image_shape)
  logger.info('teacher: %s', budget)
  found = {label: cost(network, image_shape) for label, network in networks.items()}
  for label, network in networks.items():
    models.describe(network.model)  # What cannot be saved is not worth training.
    parts = ', '.join(
      f'{part} {parameters(tree):,}' for part, tree in network.variables['params'].items()
    )
    logger.info('%s: %s%s', label, found[label], f' ({parts})' if network.model.aligned else '')
    if found[label].parameters >= budget.parameters:
      logger.warning(
        '%s would deploy %s parameters, no fewer than its teacher (%s): '
        'take a smaller student, a larger factor or fewer projectors',
        label,
        f'{found[label].parameters:,}',
        f'{budget.parameters:,}',
      )
  return found


@_in_precision
def check_memory(plan: Experiment, dataset: Dataset, teacher: Network, budget: int) -> None:
  """Raises UserError for a member that needs more than `budget` bytes; else as `dry_run`."""
  need = _estimate(_stage(plan, dataset, teacher, dataset.spec.normalisation))
  memory.partition(plan.members, need.needs, need.shared, budget)


def _estimate(stage: _Stage) -> memory.MemoryEstimate:
  return memory.estimate(
    stage.cohort,
    stage.stream.shapes,
    images=stage.stream.nbytes,
    selects=stage.held is not None,
  )


def execute(
  plan: Experiment,
  dataset: Dataset,
  teacher: Bundle | None,
  folder: pathlib.Path,
  title: str,
  pace: Execution,
  start: Bundle | None = None,
) -> None:
  """Trains a plan's cohort and saves each member's bundle under `folder`/bundles.

  A cohort larger than memory, or for several groups of devices, trains in parts, `folder`/part-1
  and so on. A run that is complete is left as it is: its bundles keep the versions they were made
  with. The students begin with the weights of `start`, a student (`distilled.extract_student`), where there
  is one.

  Raises:
    Stopped, UserError: as `loop.train`; also if another process is at work in the folder.
  """
  parts = _parts(plan, dataset, teacher, folder, pace)
  if len(parts) == 1:
    _whole(plan, dataset, teacher, folder, title, pace, start, None)
    return
  if len(pace.groups) > 1:
    # From the host each group takes its own copy.
    teacher, start = _moved(teacher, jax.device_get), _moved(start, jax.device_get)
  jobs = []
  for number, names in enumerate(parts, start=1):
    members = tuple(member for member in plan.members if member.name in names)
    place = folder / f'part-{number}'
    place.mkdir(exist_ok=True)
    own = dataclasses.replace(plan, members=members)
    title_ = f'{title} {number}/{len(parts)}'
    jobs.append(functools.partial(_whole, own, dataset, teacher, place, title_, pace, start))
  device_groups.run_jobs(pace.groups, jobs)


@_in_precision
def _whole(plan, dataset, teacher, folder, title, pace, start, interruption) -> None:
  inputs = {
    'dataset': dataset.spec.name,
    'fingerprint': dataset.spec.fingerprint,
    'teacher': teacher and teacher.digest,
    'start': start and start.digest,
  }
  workdir.claim(folder, 'inputs.json', inputs)
  with workdir.held(folder):
    bundles = {member.name: folder / 'bundles' / member.name for member in plan.members}
    diverged = folder / _DIVERGED
    if diverged.exists():
      left_out = json.loads(diverged.read_text())
      bundles = {name: path for name, path in bundles.items() if name not in left_out}
    if not all(path.exists() for path in bundles.values()):
      _train(plan, dataset, teacher, folder, title, pace, start, interruption)


@_in_precision
def _parts(
  plan: Experiment, dataset: Dataset, teacher: Bundle | None, folder: pathlib.Path, pace: Execution
) -> list[list[str]]:
  """The names of the members that train in lock step, by the memory that they need and the groups.

  What was once decided stays, so that a run goes on on another machine too: members do not depend
  on one another, and their results are the same however they are split.
  """
  path = folder / 'parts.json'
  names = [member.name for member in plan.members]
  if len(names) == 1 or (not path.exists() and (folder / 'checkpoints').exists()):
    return [names]
  if not processes.any_process(path.exists())[0]:
    stage = _stage(plan, dataset, teacher and teacher.network, _normalisation(dataset, teacher))
    need = _estimate(stage)
    parts = memory.partition_over_groups(
      plan.members, need.needs, need.shared, pace.memory, len(pace.groups)
    )
    logger.info(
      'memory: about %.0f MiB for %d members, of %.0f MiB%s',
      need.total / memory.MIB,
      len(names),
      pace.memory / memory.MIB,
      f'; they train in {len(parts)} parts' if len(parts) > 1 else '',
    )
    workdir.write_json(path, {'parts': [[member.name for member in part] for part in parts]})
  parts = json.loads(path.read_text())['parts']
  if [name for part in parts for name in part] != names:
    raise UserError(f'{str(path)!r} is of other members; remove the run to start over')
  if len(parts) < len(pace.groups):
    logger.warning(
      'the members train in %d parts, so that %d of %d groups of devices have none',
      len(parts),
      len(pace.groups) - len(parts),
      len(pace.groups),
    )
  return parts


def _moved(loaded: Bundle | None, move: Callable) -> Bundle | None:
  """The same with its variables elsewhere."""
  if loaded is None:
    return None
  network = loaded.network.replace(variables=move(loaded.network.variables))
  return dataclasses.replace(loaded, network=network)


def _normalisation(dataset: Dataset, teacher: Bundle | None) -> Normalisation:
  """Return the teacher's normalisation, so that a student sees the pixels that its teacher sees."""
  return teacher.normalisation if teacher else dataset.spec.normalisation


def _train(plan, dataset, teacher, folder, title, pace, start, interruption) -> None:
  command = {'command': shlex.join(sys.argv)}  # That trained it, or went on with it last.
  workdir.write_json(folder / 'versions.json', workdir.environment() | command)
  if teacher and plan.holdout and teacher.card.get('training', {}).get('holdout') != plan.holdout:
    logger.warning(
      'the teacher was trained with another hold-out or none: it may have seen the images that '
      'select its students'
    )
  normalisation = _normalisation(dataset, teacher)
  teacher, start = _moved(teacher, devices.put_replicated), _moved(start, devices.put_replicated)
  stage = _stage(plan, dataset, teacher and teacher.network, normalisation, start and start.network)
  outcomes, diverged = loop.train(
    stage.cohort,
    stage.stream,
    loop.validation(
      'test' if stage.held is None else 'holdout',
      dataset.test if stage.held is None else stage.held,
      normalisation,
      stage.cohort.teacher,
    ),
    folder,
    loop.LoopSettings(
      title=title,
      labels={member.name: member.label for member in plan.members},
      total_epochs=plan.recipe.total_epochs,
      eval_every=plan.eval_every,
      checkpoint_seconds=pace.checkpoint_seconds,
      steps_per_call=pace.steps_per_call,
    ),
    interruption,
  )
  processes.barrier('trained')  # The first has written all figures.
  networks = _deployed(plan, stage)
  judged = {name: outcome.network for name, outcome in outcomes.items()}
  found = evaluate(judged, dataset.test, normalisation, teacher and teacher.network)
  rows = metrics.read(folder)
  if not {row['member'] for row in rows} >= outcomes.keys():
    raise UserError(f'{str(folder)!r} has lost its metrics.jsonl; remove the run to start over')
  if diverged:
    workdir.write_json(folder / _DIVERGED, diverged)
  cards = {}
  for member in (member for member in plan.members if member.name in outcomes):
    outcome = outcomes[member.name]
    own = [row for row in rows if row['member'] == member.name]
    results = dict(found[member.name].measures)
    if stage.held is None:
      results['best_on_test'] = _best(own)
    cards[member.name] = {
      'label': member.label,
      'network': member.student,
      'dataset': bundle.dataset_card(dataset.spec, normalisation),
      'training': {
        **dataclasses.asdict(plan),
        'members': len(plan.members),
        'member': dataclasses.asdict(member),
        'teacher': teacher and teacher.reference(),
        'start': start and start.reference(),
        'epoch': outcome.epoch,
        'selection': 'last epoch' if stage.held is None else 'best epoch on the hold-out',
        **_seconds(own),
      },
      'cost': {
        **dataclasses.asdict(cost(networks[member.label], dataset.spec.image_shape)),
        'training_bytes': outcome.training_bytes,
      },
      'results': results,
      'environment': workdir.environment(),
    }
    # A run that has its bundles is complete, so they come last.
    outputs.save(
      folder / 'outputs' / f'{member.name}.npz',
      found[member.name].logits,
      outcome.network,
      dataset.test,
      normalisation,
    )
  for name, card in cards.items():
    bundle.save(folder / 'bundles' / name, outcomes[name].network, card)


def _seconds(rows: list[metrics.Row]) -> dict[str, float]:
  """A member's times, each where every epoch has it (`Stopwatch.lap`)."""
  names = ('wall_seconds', 'seconds', 'teacher_seconds')
  return {
    name: sum(row[name] for row in rows) for name in names if all(name in row for row in rows)
  }


def _best(rows: list[metrics.Row]) -> dict[str, float]:
  """The epoch with the best test accuracy: optimistic, as the test images picked it."""
  best = max((row for row in rows if 'test_top1' in row), key=lambda row: row['test_top1'])
  return {'top1': best['test_top1'], 'epoch': best['epoch']}
