"""The main job: a teacher, a cohort of students, their bundles and a report."""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import local_path, own_code, regular_file
from pidkd_jax.core.errors import respelled
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.evaluation.probe import probe
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import (
  continuation,
  fields,
  finished,
  inputs,
  own_parts,
  planning,
  record,
  run,
  workdir,
)
from pidkd_jax.experiment import forecast as forecasts
from pidkd_jax.experiment import start as starts
from pidkd_jax.experiment import teacher as teachers
from pidkd_jax.experiment.check import check
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import determinism, devices, processes
from pidkd_jax.training import free_memory, log, progress
from pidkd_jax.training.execution import Execution

logger = logging.getLogger(__name__)

# The fields that may differ when a run is resumed. They alter results only by rounding, if at all.
_HARMLESS = (
  'checkpoint_seconds',
  'memory_gib',
  'devices',
  'device_groups',
  'deterministic',
  'steps_per_call',
  'look_ahead',
  'side_by_side',
  'eval_precision',
  'writers',
  'data.dir',
  'data.streaming',
  'teacher.dir',
)
# The paths that may differ, as a run knows what lies there by a digest.
_PATHS = ('data.archive', 'data.unlabelled', *finished.BUNDLES)
# Of the summary in a run's log.
_LOG_COLUMNS = 100
# The fields that stand for the parameter `own` of `bundle.load`.
OWN = {'own': '--config.student or --config.teacher.model'}
# Of `workdir.check`: a run of an older version lacks newer fields, and any run may gain members.
_TOLERANCES = (
  _HARMLESS,
  {field.name: field.default for field in fields.FIELDS},
  _PATHS,
  continuation.compare_configs,
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
  """A job that passed every check that needs no training.

  Attributes:
    dataset: loaded.
    students: their experiment.
    teacher: the bundle that the user named or that is kept from an earlier run; or its training.
    start: the student with whose variables the students begin, or None.
  """

  dataset: Dataset
  students: Experiment
  teacher: Bundle | teachers.Training
  start: Bundle | None


def main(config: ConfigDict, folder: str) -> str:
  """Run the main job, or resume it.

  Args:
    config: of `pidkd_jax.experiment.config.default`.
    folder: of the run. The results lie there, in report.md, summary.png and bundles/.

  Returns:
    The report's summary, as text in the width of the screen; '' in all processes but the primary.

  Raises:
    UserError: one line for each mistake that the user can mend.
    Stopped: on SIGTERM or SIGINT.
  """
  with _devices(config) as groups:
    home, dataset, prepared = _checked(config, folder)
    with workdir.locked(home):
      run.keep_parts(home, continuation.members_of_config(home))
      workdir.claim(home, 'config.json', _identity(config, dataset.spec), *_TOLERANCES)
      with log.to_file(home) if processes.is_primary() else contextlib.nullcontext():
        if prepared:
          _train(config, prepared, home, groups)
        return _report(home)


def dry_run(config: ConfigDict, folder: str) -> None:
  """Put a job together without training and without writing; arguments and errors as `main`'s."""
  with _devices(config):
    _checked(config, folder)


def forecast(config: ConfigDict, folder: str) -> str:
  """Return what a job would take, for the screen; arguments and errors as `main`'s.

  Nothing is trained, and nothing is written but data sets that have to be prepared.
  """
  with _devices(config) as groups, log.hushed():
    home, dataset, job = _checked(config, folder)
    if job is None:
      text = f'The run in {str(home)!r} is complete; nothing would be trained.'
    else:
      execution = _execution(config, groups)
      text = forecasts.describe(job.students, job.teacher, dataset, job.start, execution, home)
    return text if processes.is_primary() else ''


def _checked(config: ConfigDict, folder: str) -> tuple[pathlib.Path, Dataset, _Job | None]:
  """Return the run's folder, its data, and the job unless it is complete.

  Whatever can be refused is, and nothing is written or trained.
  """
  home = local_path.resolve('workdir', folder)
  dataset = _load(config, 'data')
  _check(config, dataset, home)
  return home, dataset, None if _is_finished(config, home) else _prepare(config, dataset, home)


@contextlib.contextmanager
def _devices(config: ConfigDict) -> Iterator[tuple[devices.DeviceGroup, ...]]:
  """Check a configuration and enter its devices."""
  check(config)
  if config.deterministic:
    determinism.require()
  batch_sizes = {'batch_size': config.batch_size}
  if not config.teacher.bundle:
    batch_sizes['teacher.batch_size'] = config.teacher.batch_size
  with devices.use_devices(config.devices, batch_sizes, config.device_groups) as groups:
    yield groups


def _check(config: ConfigDict, dataset: Dataset, home: pathlib.Path) -> None:
  """Raise UserError where the folder holds a run of another configuration or of other data."""
  spec = dataset.spec
  logger.info(
    '%s: %s training and %s test images of %s, %d classes; %s',
    spec.name,
    f'{len(dataset.train):,}',
    f'{len(dataset.test):,}',
    'x'.join(map(str, spec.image_shape)),
    spec.num_classes,
    spec.source,
  )
  workdir.check(home, 'config.json', _identity(config, spec), *_TOLERANCES)
  inputs.check_data(home, dataset)


def _is_finished(config: ConfigDict, home: pathlib.Path) -> bool:
  """Return whether the run is complete, so that a report needs neither teacher nor start."""
  members = planning.members(config, configuration.rows(config))
  return (
    (home / 'teacher.json').exists()
    and ('probe' not in config or not _unprobed(home))
    # A bundle that moved or is there is loaded, to compare its digest.
    and workdir.same_paths(home, config.to_dict(), finished.BUNDLES)
    and not finished.has_bundle(config)
    and run.is_complete(home, members)
  )


def _prepare(config: ConfigDict, dataset: Dataset, home: pathlib.Path) -> _Job:
  """Put the job together; nothing is written or trained."""
  begun = (home / 'config.json').exists()  # Then its log has what is said here.
  with log.hushed(begun), progress.working('putting the networks together'):
    return _put_together(config, dataset, home)


@respelled(OWN)
def _put_together(config: ConfigDict, dataset: Dataset, home: pathlib.Path) -> _Job:
  spec = dataset.spec
  own = models.families(*_networks(config))
  named = None
  if config.teacher.bundle:
    named = teachers.load(local_path.resolve('teacher.bundle', config.teacher.bundle), dataset, own)
  if 'probe' in config:
    _load(config, 'probe')  # So that a mistake in it comes before the training.
  begin = starts.load('teacher.start', config.teacher.start, spec, own)
  start = starts.load('start', config.start, spec, own)
  if start:
    source = named or begin
    wanted = source.normalisation if source else spec.normalisation
    starts.check_normalisation(f'start {config.start!r}', start, wanted)
  teacher = named
  if teacher is None:
    training = _teacher_training(config, dataset.labelled, home, begin)
    teacher = teachers.kept(training, dataset) or training
  inputs.check_sources(home, teacher if isinstance(teacher, Bundle) else teacher.folder, start)
  rows = configuration.rows(config)
  chosen = [row[name] for row in rows.values() for name in ('method', 'student')]
  with own_code.explain_errors(config.student, config.teacher.model, *chosen):
    network = named.network if named else teachers.untrained(config.teacher.model, spec)
    students = planning.students_experiment(config, rows, dataset, network, start)
  return _Job(dataset, students, teacher, start)


def _teacher_training(
  config: ConfigDict, dataset: Dataset, home: pathlib.Path, start: Bundle | None
) -> teachers.Training:
  experiment = planning.teacher_experiment(config, dataset, start)
  kept = config.teacher.dir
  place = local_path.resolve('teacher.dir', kept) if kept else home.parent / 'teachers'
  folder = teachers.folder_of(experiment, dataset, place, start)
  training = teachers.Training(experiment, folder, start)
  teachers.check(training, dataset)
  return training


def _train(
  config: ConfigDict, job: _Job, home: pathlib.Path, groups: tuple[devices.DeviceGroup, ...]
) -> None:
  """Train teacher and students, and record what the report needs."""
  dataset = job.dataset
  execution = _execution(config, groups)
  teacher = job.teacher
  if not isinstance(teacher, Bundle):
    teacher = teachers.train(teacher, dataset.labelled, execution)
  run.execute(job.students, dataset, teacher, home, 'students', execution, job.start)
  with progress.working('evaluating the teacher'):
    record.teacher('teacher', teacher, dataset, home)
  own = models.families(*_networks(config))
  if job.start and (origin := teachers.teacher_of(teacher, own, dataset.spec)):
    record.teacher('origin', origin, dataset, home)
  if 'probe' in config:
    _probe(config, teacher, home)


def _execution(config: ConfigDict, groups: tuple[devices.DeviceGroup, ...]) -> Execution:
  return Execution(
    memory=free_memory.per_group(_budget(config), len(groups)),
    groups=groups,
    checkpoint_seconds=config.checkpoint_seconds,
    steps_per_call=config.steps_per_call,
    look_ahead=config.look_ahead,
    side_by_side=config.side_by_side,
    eval_precision=config.eval_precision,
    writers=tuple(config.writers),
  )


def _report(home: pathlib.Path) -> str:
  if not processes.is_primary():
    return ''
  with progress.working('writing the report'):
    from pidkd_jax import report  # Late: Matplotlib takes seconds, and training need not wait.

    summary = report.run(home)
  logger.debug('%s', summary.render(_LOG_COLUMNS))
  finished.keep(home, summary)
  return str(summary)


def _load(config: ConfigDict, place: str) -> Dataset:
  """Load the dataset of a group, in the primary process first, as it may have to be prepared."""
  group = config[place]
  # A probe stands within a cohort of a study, whose name is not known here.
  prefix = '--config.data.' if place == 'data' else f'{place}.'
  spelling = {name: f'{prefix}{name}' for name in group} | {
    'directory': '--config.data.dir',
    'limit=0': '--config.data.streaming=always',
    'limit=None': '--config.data.streaming=never',
  }
  with progress.working(f'reading {group.name}', told=True), respelled(spelling):
    return processes.primary_first(
      'data',
      data.load,
      group.name,
      directory=config.data.dir,
      archive=group.archive,
      verify=group.verify,
      image_size=group.image_size,
      # The data set of a probe is described without it.
      crop_ratio=group.get('crop_ratio', 1.0),
      unlabelled='' if group.get('unlabelled', '') == 'rest' else group.get('unlabelled', ''),
      teacher_size=group.get('teacher_size', 0),
      # Bytes of images above which a dataset is streamed.
      limit=free_memory.STREAMING[config.data.streaming](_budget(config)),
    )


def _budget(config: ConfigDict) -> int:
  """Return the bytes that a training may take from here on."""
  return int(config.memory_gib * 2**30) or free_memory.available()


def _identity(config: ConfigDict, spec: DatasetSpec) -> dict[str, Any]:
  """Return what a run is: its configuration, and the user's own networks and methods."""
  methods = {label: (row['method'], {}) for label, row in configuration.rows(config).items()}
  return config.to_dict() | own_parts.describe(_networks(config), methods, spec.num_classes)


def _networks(config: ConfigDict) -> list[str]:
  """Return the names of all networks that a job may train; '' where a field names none."""
  students = [row['student'] for row in configuration.rows(config).values()]
  return [config.student, config.teacher.model, *students]


def _probe(config: ConfigDict, teacher: Bundle, home: pathlib.Path) -> None:
  """Probe teacher and students on another dataset, once; probe.json in the run's folder."""
  unprobed = _unprobed(home)
  if not unprobed:
    return
  other = _load(config, 'probe')
  own = models.families(*_networks(config), teacher.network.model)
  top1 = _probed(home)
  for name, place in unprobed.items():
    one = bundle.load(place, own) if place else teacher
    image_shape = tuple(one.card['dataset']['image_shape'])
    top1[name] = probe(one.network, other.train, other.test, image_shape, one.normalisation)
    logger.info(
      '%s: top-1 of a linear classifier on %s %.2f%%', name, other.spec.name, 100 * top1[name]
    )
    # At once, so that a stop loses one probe at most.
    workdir.write_json(home / 'probe.json', {other.spec.name: top1})


def _unprobed(home: pathlib.Path) -> dict[str, pathlib.Path | None]:
  """Return {name: bundle} of what is still to be probed: members, and the teacher with None."""
  bundles = {'teacher': None} | {place.name: place for place in workdir.bundles(home)}
  probed = _probed(home)
  return {name: place for name, place in bundles.items() if name not in probed}


def _probed(home: pathlib.Path) -> dict[str, float]:
  """Return {member: top-1} of a run's probe.json; nothing where there is none."""
  path = home / 'probe.json'
  if not path.exists():
    return {}
  with workdir.writing(home, path.name):
    [top1] = regular_file.read_object(path).values()
  return top1
