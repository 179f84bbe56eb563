"""Train and distil from Python, without a configuration: `kd.train` and `kd.distill`."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.trained_network import TrainedNetwork, load
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.value import plain
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import (
  arguments,
  assembly,
  continuation,
  inputs,
  own_parts,
  record,
  run,
  workdir,
)
from pidkd_jax.experiment import start as starts
from pidkd_jax.experiment import teacher as teachers
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices, processes
from pidkd_jax.training import free_memory
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import Recipe

if TYPE_CHECKING:
  from pidkd_jax.report.comparison import Comparison

Folder = str | pathlib.Path | None


class Distillation(Mapping[str, TrainedNetwork]):
  """The students of `distill`: {label: the student of the first trial that did not diverge}.

  As text and in a notebook it shows as the table that a run prints. Where a label may have
  diverged whole, loop over `trials`.

  Attributes:
    trials: {label: the students of all trials}. A trial that diverged is missing.
    teacher: of all students.
    comparison: what a report reads of their folder.

  Raises:
    UserError: by `students[label]`, where every trial of the label diverged.
  """

  def __init__(
    self,
    trials: Mapping[str, Sequence[TrainedNetwork]],
    teacher: TrainedNetwork,
    comparison: 'Comparison',
  ):
    self.trials = trials
    self.teacher = teacher
    self.comparison = comparison

  def __getitem__(self, label: str) -> TrainedNetwork:
    students = self.trials[label]
    if not students:
      raise UserError(f'every trial of {label!r} diverged; try a lower learning rate')
    return students[0]

  def __contains__(self, label: object) -> bool:
    return label in self.trials

  def __iter__(self) -> Iterator[str]:
    return iter(self.trials)

  def __len__(self) -> int:
    return len(self.trials)

  def __repr__(self) -> str:
    from pidkd_jax.report.tables import brief  # Late, as in `job`.

    return str(brief.summary(self.comparison))

  def _repr_markdown_(self) -> str:
    from pidkd_jax.report import table
    from pidkd_jax.report.tables import brief

    marks = brief.notes(self.comparison)
    return '\n\n'.join([table.to_markdown(brief.columns(self.comparison)), *marks])


def train(
  model: arguments.Network,
  data: Dataset,
  *,
  epochs: int,
  batch_size: int | None = None,
  learning_rate: float = 0.05,
  weight_decay: float = 5e-4,
  precision: str | None = None,
  recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
  crops: Crops = Crops(),  # noqa: B008 (frozen)
  holdout: float = 0.0,
  start: arguments.Trained | None = None,
  seed: int = 0,
  workdir: Folder = None,
  writers: Sequence[str] = (),
) -> TrainedNetwork:
  """Train a network with labels, for instance as a teacher.

  The recipe is that of the distillation literature on CIFAR-100: SGD with momentum 0.9, and a
  learning rate that drops to a tenth after 62.5%, 75% and 87.5% of the training. `recipe` holds
  other ones, for instance `kd.Recipe(schedule='cosine', warmup=0.05)`.

  Args:
    model: one of `kd.models.names()`, 'module:Class', or a subclass of `kd.models.Model`.
    data: of `kd.data.load` or `kd.data.from_arrays`.
    epochs: passes over the training images; the literature takes 240.
    batch_size: images in a step; None for the recipe's, 64.
    learning_rate: at the start; the literature takes 0.05, and 0.01 for MobileNets and ShuffleNets.
    weight_decay: of every parameter.
    precision: 'float32', 'tf32' or 'bfloat16', in which training steps compute; None for the
      recipe's, 'float32'.
    recipe: optimizer, schedule and all else that `kd.Recipe` has. Its total_epochs are `epochs`.
    crops: random crops and flips; `kd.Crops('resized')` is usual for photographs.
    holdout: share of the training images that selects the epoch; 0 for the last epoch.
    start: a trained network of the same architecture, or the folder of a bundle, with whose weights
      the training begins. Its classifier is kept where it knows every class of the data by name,
      and its normalisation is taken. A lower learning rate suits it, such as 0.005.
    seed: of initial weights, data order and augmentation.
    workdir: folder of checkpoints, metrics and the bundle. The same call then resumes. None keeps
      nothing on disk.
    writers: where the metrics go beside TensorBoard: 'wandb', 'mlflow'.

  Returns:
    The trained network, evaluated on the test images.

  Raises:
    UserError: one line for each mistake that the user can mend.
    Stopped: on SIGTERM or SIGINT, after saving, where there is a `workdir`.

  Example:
    >>> data = kd.data.load('digits')  # doctest: +SKIP
    >>> teacher = kd.train('resnet14', data, epochs=6)  # doctest: +SKIP
    >>> teacher.metrics['top1']  # doctest: +SKIP
    0.97
  """
  # Trial -1: no student of the same architecture and seed begins with this network's weights.
  data = arguments.dataset(data)
  optimizer = arguments.optimizer(learning_rate, weight_decay)
  member = Member('network', arguments.network(model), 'scratch', {}, optimizer, trial=-1)
  experiment = arguments.experiment(
    (member,),
    data,
    arguments.recipe(recipe, epochs, batch_size, precision),
    crops,
    seed=seed,
    holdout=holdout,
  )
  assembly.check(experiment, data.labelled)
  own = models.families(member.student)
  with _running(experiment, workdir, writers) as (folder, execution):
    begin = arguments.start(start, data, own)
    assembly.check_network(experiment, data.labelled, begin and begin.network)
    with _claimed(folder, experiment, data.labelled, None, begin):
      run.execute(experiment, data.labelled, None, folder, member.student, execution, begin)
      return _networks(folder, experiment, own)['network'][0]


def distill(
  teacher: arguments.Trained,
  data: Dataset,
  *,
  student: arguments.Network,
  epochs: int,
  methods: arguments.Choice | Sequence[arguments.Choice] | Mapping[str, arguments.Choice] = 'pidkd',
  trials: int = 1,
  batch_size: int | None = None,
  learning_rate: float = 0.05,
  weight_decay: float = 5e-4,
  precision: str | None = None,
  recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
  crops: Crops = Crops(),  # noqa: B008 (frozen)
  holdout: float = 0.0,
  shots: int = 0,
  rest: bool = False,
  start: arguments.Trained | None = None,
  eval_every: int = 1,
  seed: int = 0,
  workdir: Folder = None,
  writers: Sequence[str] = (),
) -> Distillation:
  """Distil students from a frozen teacher, all methods and trials on the same batches.

  The same trial starts from the same student in every method. The teacher runs once a batch for all
  of them.

  Args:
    teacher: a trained network, or the folder of a bundle.
    data: of the classes, in their order, and of the image size that the teacher was trained for.
    student: as `train`'s `model`.
    epochs: passes over the training images; the literature takes 240.
    methods: one of `kd.methods.names()`, `kd.method(...)` or a subclass of `kd.methods.Method`;
      several of these; or {label: one of these}.
    trials: students of each method that differ only in their seed.
    batch_size, learning_rate, weight_decay, precision, recipe, crops, holdout, seed: as `train`'s.
    shots: training images of each class that the students see; 0 for all.
    rest: whether they see the other training images, too, without their labels. That is for methods
      whose loss reads no label, as are images of `kd.data.load(..., unlabelled=...)`.
    start: as `train`'s, of the student's architecture; with the teacher's normalisation.
    eval_every: epochs between evaluations; the last epoch is always evaluated.
    workdir: as `train`'s; `pidkd report WORKDIR` then makes the tables and figures.
    writers: as `train`'s.

  Returns:
    {label: the student of the first trial that did not diverge}, each evaluated on the test
    images; `.trials` has all.

  Raises:
    UserError: one line for each mistake that the user can mend.
    Stopped: on SIGTERM or SIGINT, after saving, where there is a `workdir`.

  Example:
    >>> students = kd.distill(
    ...   teacher,
    ...   data,
    ...   student='resnet8',
    ...   epochs=6,
    ...   methods={'pidkd': kd.method('pidkd', num_projectors=4), 'kd': 'kd_1_1'},
    ... )  # doctest: +SKIP
    >>> students['pidkd'].metrics['agreement']  # doctest: +SKIP
    0.97
  """
  data = arguments.dataset(data)
  trials, rest = arguments.checked('trials', trials), plain(False, 'rest', rest)
  if rest and not shots:
    raise UserError('rest is True, and shots is 0, so all images have labels; set shots')
  name = arguments.network(student)
  teacher = arguments.trained('the teacher', teacher, models.families(name))
  teachers.check_fit('the teacher', teacher.bundle, data.spec)
  optimizer = arguments.optimizer(learning_rate, weight_decay)
  members = tuple(
    Member(label, name, spec.name, dict(spec.hyperparameters), optimizer, trial)
    for label, spec in arguments.methods(methods).items()
    for trial in range(trials)
  )
  experiment = arguments.experiment(
    members,
    data,
    arguments.recipe(recipe, epochs, batch_size, precision),
    crops,
    seed=seed,
    holdout=holdout,
    shots=shots,
    rest=rest,
    eval_every=eval_every,
  )
  # A distilled student holds its teacher's class, too.
  own = models.families(*(one.student for one in members), teacher.bundle.network.model)
  with _running(experiment, workdir, writers) as (folder, execution):
    frozen = teachers.frozen(teacher.bundle)
    begin = arguments.start(start, data, own)
    if begin:
      starts.check_normalisation('start', begin, frozen.normalisation)
    assembly.dry_run(experiment, data, frozen.network, begin and begin.network)
    with _claimed(folder, experiment, data, frozen, begin):
      run.execute(experiment, data, frozen, folder, 'students', execution, begin)
      if workdir is not None:
        record.teacher('teacher', frozen, data, folder)
      trained = _networks(folder, experiment, own)
      return Distillation(trained, teacher, _comparison(folder, teacher))


@contextlib.contextmanager
def _running(
  experiment: Experiment, folder: Folder, writers: Sequence[str]
) -> Iterator[tuple[pathlib.Path, Execution]]:
  """Enter the devices and a folder; without a folder of the user's, a temporary one."""
  chosen = arguments.writers(writers)
  if folder is None and chosen:
    raise UserError(
      f'`writers` are {listed(chosen)}, and there is no `workdir`; give one, as what they keep on '
      'disk lies there'
    )
  if folder is None and processes.is_multiprocess():
    raise UserError(
      'several processes train as one, and there is no `workdir`; give all of them one, in a file '
      'system that they share'
    )
  batch_sizes = {'batch_size': experiment.recipe.batch_size}
  with contextlib.ExitStack() as stack:
    groups = stack.enter_context(devices.use_devices(None, batch_sizes))
    if folder is None:
      place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    else:
      place = local_path.resolve('workdir', str(folder))
    # Without a folder there is nothing to resume, so Ctrl-C ends the training as it ends a cell.
    yield (
      place,
      Execution(free_memory.available(), groups, signals=folder is not None, writers=chosen),
    )


@contextlib.contextmanager
def _claimed(
  folder: pathlib.Path,
  experiment: Experiment,
  data: Dataset,
  teacher: Bundle | None,
  start: Bundle | None,
) -> Iterator[None]:
  """Lock a folder and write down what it is for, if it may be; nothing is written before."""
  check_part = continuation.compare_experiments
  members = experiment.members
  methods = {one.label: (one.method, one.hyperparameters) for one in members}
  own = own_parts.describe([one.student for one in members], methods, data.spec.num_classes)
  content = dataclasses.asdict(experiment) | own
  # A folder of an older version lacks newer fields.
  defaults: dict[str, Any] = {
    f'{group}{field.name}': field.default
    for group, kind in (('', Experiment), ('recipe.', Recipe))
    for field in dataclasses.fields(kind)
    if field.default is not dataclasses.MISSING
  }
  # With a hold-out the evaluations select the epoch.
  harmless = () if experiment.holdout else ('eval_every',)
  rules = harmless, defaults, (), check_part
  workdir.check(folder, 'config.json', content, *rules)
  inputs.check_data(folder, data)
  inputs.check_sources(folder, teacher, start)
  with workdir.locked(folder):
    run.keep_parts(folder, continuation.members_of_experiment(folder))
    workdir.claim(folder, 'config.json', content, *rules)
    yield


def _comparison(folder: pathlib.Path, teacher: TrainedNetwork) -> 'Comparison':
  """Return what a report reads of a finished folder, without need of the folder from here on."""
  from pidkd_jax.report import run_folder
  from pidkd_jax.report.comparison import Comparison
  from pidkd_jax.report.trial import Trial

  described = Trial(folder, 'teacher', dict(teacher.card))
  comparison = Comparison(
    tuple(
      dataclasses.replace(run, teacher=run.teacher or described)
      for run in run_folder.read_whole(folder)
    )
  )
  for trials in comparison.labels.values():
    for trial in trials.values():
      _ = trial.outputs  # It stays in memory.
  return comparison


def _networks(
  folder: pathlib.Path, experiment: Experiment, own: Iterable[models.Family]
) -> dict[str, list[TrainedNetwork]]:
  """Load {label: the networks of its trials}; a trial that diverged has no bundle."""
  places = {place.name: place for place in workdir.bundles(folder)}
  networks: dict[str, list[TrainedNetwork]] = {member.label: [] for member in experiment.members}
  for member in experiment.members:
    if member.name in places:
      networks[member.label].append(load(places[member.name], own))
  return networks
