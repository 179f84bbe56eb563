"""The main job: a teacher, a cohort of students, their bundles and a report; a study is several.

The one module of the package that reads a ConfigDict.
"""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec, Network
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.evaluation import outputs
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate
from pidkd_jax.evaluation.probe import probe
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import run, widening, workdir
from pidkd_jax.experiment import teacher as teachers
from pidkd_jax.models import distilled
from pidkd_jax.parallel import determinism, devices, processes
from pidkd_jax.training import memory
from pidkd_jax.training.cohort import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

logger = logging.getLogger(__name__)

# What may differ when a run is taken up again.
_HARMLESS = (
  'checkpoint_seconds',
  'memory_gib',
  'devices',
  'device_groups',
  'deterministic',
  'data.dir',
  'data.streaming',
  'teacher.dir',
)


def main(config: ConfigDict, folder: str) -> str:
  """Runs the main job, or goes on with it.

  Args:
    config: of `pidkd_jax.experiment.config.default`.
    folder: the run's own; what it comes to lies in report.md, curves.png and bundles/ there.

  Returns:
    The report, Markdown; '' in all processes but the first.

  Raises:
    UserError: one line for whatever the user can mend.
    Stopped: on SIGTERM or SIGINT.
  """
  with _spread(config) as groups:
    home = workdir.local('workdir', folder)
    return _main(config, _dry_run(config, home), home, groups)


@contextlib.contextmanager
def _spread(config: ConfigDict) -> Iterator[tuple[devices.DeviceGroup, ...]]:
  """Within its context a job runs on the devices of its configuration, once that was checked."""
  configuration.check(config)
  if config.deterministic:
    determinism.require()
  batch_sizes = {'batch_size': config.batch_size}
  if not config.teacher.bundle:
    batch_sizes['teacher.batch_size'] = config.teacher.batch_size
  with devices.use_devices(config.devices, batch_sizes, config.device_groups) as groups:
    yield groups


@dataclasses.dataclass(frozen=True, eq=False)
class _DryRun:
  """A job of which nothing is wrong, as far as can be told before anything is written or trained.

  Attributes:
    dataset: loaded.
    plan: of the students.
    teacher: the bundle that the user named, or None.
    lesson: without one, the plan of the teacher's training.
    place: and where it is kept.
    start: the student whose weights the students begin with, or None.
  """

  dataset: Dataset
  plan: run.Experiment
  teacher: Bundle | None
  lesson: run.Experiment | None
  place: pathlib.Path | None
  start: Bundle | None


def _dry_run(config: ConfigDict, home: pathlib.Path) -> _DryRun:
  rows = configuration.rows(config)
  dataset = processes.primary_first(
    'data',
    data.load,
    config.data.name,
    directory=config.data.dir,
    archive=config.data.archive,
    verify=config.data.verify,
    image_size=config.data.image_size,
    limit=_image_limit(config),
  )
  spec = dataset.spec
  logger.info(
    '%s: %d training and %d test images of %s, %d classes; %s',
    spec.name,
    len(dataset.train),
    len(dataset.test),
    spec.image_shape,
    spec.num_classes,
    spec.source,
  )
  workdir.check(home, 'config.json', _identity(config, spec), _HARMLESS)
  own = models.families(config.student, config.teacher.model)
  kept = lesson = place = None
  if config.teacher.bundle:
    kept = teachers.load(workdir.local('teacher.bundle', config.teacher.bundle), dataset, own)
    start = _start(config, dataset, own, kept.normalisation)
  else:
    start = _start(config, dataset, own, spec.normalisation)
    lesson = _teacher_experiment(config, dataset)
    place = _teacher_folder(config, lesson, dataset, home)
  with models.explain_errors(config.student, config.teacher.model):
    teacher = kept.network if kept else teachers.untrained(config.teacher.model, spec)
    plan = _students_experiment(config, rows, dataset, teacher, start)
  return _DryRun(dataset, plan, kept, lesson, place, start)


def _main(
  config: ConfigDict, ready: _DryRun, home: pathlib.Path, groups: tuple[devices.DeviceGroup, ...]
) -> str:
  dataset = ready.dataset
  pace = run.Execution(
    config.checkpoint_seconds,
    config.steps_per_call,
    memory.per_group(_budget(config), len(groups)),
    groups,
  )
  workdir.claim(home, 'config.json', _identity(config, dataset.spec), _HARMLESS)
  kept = ready.teacher or teachers.trained(ready.lesson, ready.place, dataset, pace)
  run.execute(ready.plan, dataset, kept, home, 'students', pace, ready.start)
  _describe('teacher', kept, dataset, home)
  own = models.families(config.student, config.teacher.model)
  if ready.start and (origin := teachers.origin(kept, own)):
    _describe('origin', origin, dataset, home)
  if 'probe' in config:
    _probe(config, kept, home)
  if not processes.is_primary():
    return ''
  from pidkd_jax import report  # Only now: Matplotlib takes seconds, and training need not wait.

  return report.run(home)


def _budget(config: ConfigDict) -> int:
  """Bytes that a training may take from here on."""
  return int(config.memory_gib * 2**30) or memory.available()


def _image_limit(config: ConfigDict) -> int | None:
  """Bytes of images above which a dataset is streamed (`data.load`)."""
  return memory.STREAMING[config.data.streaming](_budget(config))


def _identity(config: ConfigDict, spec: DatasetSpec) -> dict[str, Any]:
  """What the run is: its configuration, and what networks of the user's own are like today."""
  own = [name for name in (config.student, config.teacher.model) if ':' in name]
  described = {
    name: models.describe(models.create(name, num_classes=spec.num_classes)) for name in own
  }
  return config.to_dict() | ({'networks': described} if described else {})


def study(config: ConfigDict, folder: str, labels: Sequence[str] = ()) -> dict[str, str]:
  """Runs a study, or goes on with it: its cohorts one after the other.

  Args:
    config: of `pidkd_jax.experiment.config.study`, with cohorts.
    folder: the study's own; each cohort has one of its name in it.
    labels: of the only rows to train; () for all.

  Returns:
    {cohort: its report}.

  Raises:
    UserError, Stopped: as `main`.
  """
  home = workdir.local('workdir', folder)
  cohorts = configuration.cohorts(config, labels)
  for cohort in cohorts.values():
    # One place for all, so that cohorts of one teacher share it.
    cohort.teacher.dir = cohort.teacher.dir or str(home / 'teachers')
    configuration.check(cohort)
  # What is wrong with a later cohort comes out before the first, which begins with its own, trains.
  for name in list(cohorts)[1:]:
    logger.info('cohort %s is put together, to be trained later', name)
    with _spread(cohorts[name]):
      _dry_run(cohorts[name], home / name)
  return {name: main(cohort, str(home / name)) for name, cohort in cohorts.items()}


def _students_experiment(
  config: ConfigDict,
  rows: Mapping[str, Mapping[str, Any]],
  dataset: Dataset,
  teacher: Network,
  start: Bundle | None,
) -> run.Experiment:
  """The plan of a cohort, which was put together without training once."""
  plan = _experiment(config, _members(config, rows), _recipe(config), config.seed, dataset.spec)
  costs = run.dry_run(plan, dataset, teacher, start and start.network)
  if config.memory_gib:
    budget = memory.per_group(int(config.memory_gib * 2**30), config.device_groups)
    run.check_memory(plan, dataset, teacher, budget)
  for label, row in rows.items():
    if row['widen']:
      if row['widen'] not in costs:
        raise unknown_name(f'row for {label} to be as large as', row['widen'], costs)
      student = widening.widened(plan, dataset, teacher, label, costs[row['widen']].parameters)
      plan = dataclasses.replace(
        plan,
        members=tuple(
          dataclasses.replace(member, student=student) if member.label == label else member
          for member in plan.members
        ),
      )
  return plan


def _members(config: ConfigDict, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Member, ...]:
  members = []
  for label, row in rows.items():
    fields = {key: value for key, value in row.items() if key not in configuration.ROW}
    method = row['method']
    numbers = OptimizerHparams(row['learning_rate'] or config.learning_rate, config.weight_decay)
    student = row['student'] or config.student
    for trial in range(row['trials'] or config.trials):
      members.append(Member(label, student, method, fields, numbers, trial))
  return tuple(members)


def _recipe(config: ConfigDict) -> Recipe:
  return Recipe(**{field.name: config[field.name] for field in dataclasses.fields(Recipe)})


def _experiment(
  config: ConfigDict, members: tuple[Member, ...], recipe: Recipe, seed: int, spec: DatasetSpec
) -> run.Experiment:
  if config.data.padding > min(spec.image_shape[:2]):
    raise UserError(
      f'data.padding is {config.data.padding}, more than the {spec.image_shape[:2]} images of '
      f'{spec.name}; the recipe has {spec.padding}'
    )
  return run.Experiment(
    members=members,
    recipe=recipe,
    seed=seed,
    padding=spec.padding if config.data.padding < 0 else config.data.padding,
    flip=spec.flip if config.data.flip < 0 else bool(config.data.flip),
    holdout=config.data.holdout,
    eval_every=config.eval_every,
  )


def _teacher_experiment(config: ConfigDict, dataset: Dataset) -> run.Experiment:
  """The plan of a teacher's training."""
  fields = config.teacher
  numbers = OptimizerHparams(fields.learning_rate, fields.weight_decay)
  member = Member('teacher', fields.model, 'scratch', {}, numbers, trial=-1)
  recipe = dataclasses.replace(
    _recipe(config),
    total_epochs=fields.total_epochs,
    batch_size=fields.batch_size,
    precision=fields.precision,
  )
  plan = _experiment(config, (member,), recipe, fields.seed, dataset.spec)
  try:
    run.check(plan, dataset)
  except UserError as error:
    raise UserError(f"the teacher's {error}") from error
  return plan


def _teacher_folder(
  config: ConfigDict, plan: run.Experiment, dataset: Dataset, home: pathlib.Path
) -> pathlib.Path:
  """Where the teacher of this plan is or will be kept."""
  fields = config.teacher
  place = workdir.local('teacher.dir', fields.dir) if fields.dir else home.parent / 'teachers'
  folder = place / teachers.name(plan, dataset)
  if not (folder / 'bundles' / plan.members[0].name).exists():
    workdir.check(folder, 'config.json', dataclasses.asdict(plan), {'eval_every'})
  return folder


def _start(
  config: ConfigDict,
  dataset: Dataset,
  own: Collection[models.Family],
  normalisation: Normalisation,
) -> Bundle | None:
  """Load the student that the run's students start from; it must share their normalisation."""
  if not config.start:
    return None
  loaded = teachers.fitting('start', workdir.local('start', config.start), dataset, own)
  for name in ('mean', 'std'):
    own_value, wanted = (list(getattr(one, name)) for one in (loaded.normalisation, normalisation))
    if own_value != wanted:
      raise UserError(
        f'start {config.start!r} was trained with another {name} of the pixels than the teacher '
        f'({own_value} and not {wanted}); give another bundle'
      )
  network = distilled.extract_student(loaded.network)
  return dataclasses.replace(
    loaded, network=network.replace(variables=devices.put_replicated(network.variables))
  )


def _probe(config: ConfigDict, teacher: Bundle, home: pathlib.Path) -> None:
  """Judges teacher and students on another dataset, once; probe.json in the run's folder."""
  path = home / 'probe.json'
  if path.exists():
    return
  other = processes.primary_first(
    'other data',
    data.load,
    config.probe.name,
    directory=config.data.dir,
    archive=config.probe.archive,
    verify=config.probe.verify,
    image_size=config.probe.image_size,
    limit=_image_limit(config),
  )
  own = models.families(config.student, config.teacher.model, teacher.network.model)
  found = {}
  for one in [
    teacher,
    *(bundle.load(card.parent, own) for card in sorted(home.rglob('card.json'))),
  ]:
    known = one.card['dataset']
    name = one.folder.name if one is not teacher else 'teacher'
    found[name] = probe(
      one.network,
      other.train,
      other.test,
      tuple(known['image_shape']),
      one.normalisation,
    )
    logger.info(
      '%s: top-1 of a linear classifier on %s %.2f%%', name, other.spec.name, 100 * found[name]
    )
  workdir.write_json(path, {other.spec.name: found})


def _describe(name: str, teacher: Bundle, dataset: Dataset, home: pathlib.Path) -> None:
  """Leaves in the run's folder what its report says of a teacher, once."""
  path = home / f'{name}.json'
  if path.exists():
    return
  given = dataset.test, teacher.normalisation
  judged = evaluate({name: teacher.network}, *given, teacher.network)[name]
  cost_ = dataclasses.asdict(cost(teacher.network, dataset.spec.image_shape))
  card = {**teacher.card, 'cost': cost_, 'results': judged.measures}
  outputs.save(home / 'outputs' / f'{name}.npz', judged.logits, teacher.network, *given)
  workdir.write_json(path, card)
