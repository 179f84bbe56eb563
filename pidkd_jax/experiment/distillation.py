"""Train and distil from Python, without a configuration: `kd.train` and `kd.distill`."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pidkd_jax import methods as registered
from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.trained_network import TrainedNetwork, load
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import assembly, check, continuation, record, run, workdir
from pidkd_jax.experiment import fields as table
from pidkd_jax.experiment import start as starts
from pidkd_jax.experiment import teacher as teachers
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Execution, Experiment
from pidkd_jax.methods import MethodSpec, catalog
from pidkd_jax.models import description
from pidkd_jax.parallel import devices
from pidkd_jax.training import free_memory
from pidkd_jax.training import writers as available
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

if TYPE_CHECKING:
  from pidkd_jax.report.comparison import Comparison

Folder = str | pathlib.Path | None
Network = str | type[models.Model]
Start = TrainedNetwork | str | pathlib.Path | None
# The fields of an experiment that are fields of a configuration.
_NUMBERS = {'seed', 'holdout', 'shots', 'eval_every'}
Choice = str | type[registered.Method] | MethodSpec


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
  model: Network,
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
  start: Start = None,
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
  optimizer = _optimizer(learning_rate, weight_decay)
  member = Member('network', _name(model), 'scratch', {}, optimizer, trial=-1)
  experiment = _experiment(
    (member,),
    data,
    _recipe(recipe, epochs, batch_size, precision),
    crops,
    seed=seed,
    holdout=holdout,
  )
  assembly.check(experiment, data.labelled)
  own = models.families(member.student)
  with _running(experiment, workdir, writers) as (folder, execution):
    begin = _start(start, data)
    assembly.check_network(experiment, data.labelled, begin and begin.network)
    with _claimed(folder, experiment, data.labelled, None, begin):
      run.execute(experiment, data.labelled, None, folder, member.student, execution, begin)
      return _networks(folder, experiment, own)['network'][0]


def distill(
  teacher: TrainedNetwork | str | pathlib.Path,
  data: Dataset,
  *,
  student: Network,
  epochs: int,
  methods: Choice | Sequence[Choice] | Mapping[str, Choice] = 'pidkd',
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
  start: Start = None,
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
    data: of the name, the classes and the image size that the teacher was trained for.
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
  trials, rest = _checked('trials', trials), check.plain(False, 'rest', rest)
  if rest and not shots:
    raise UserError('rest is True, and shots is 0, so all images have labels; set shots')
  teacher = _trained('the teacher', teacher)
  teachers.check_fit('the teacher', teacher.bundle, data.spec)
  optimizer = _optimizer(learning_rate, weight_decay)
  members = tuple(
    Member(label, _name(student), spec.name, dict(spec.hyperparameters), optimizer, trial)
    for label, spec in _specs(methods).items()
    for trial in range(trials)
  )
  experiment = _experiment(
    members,
    data,
    _recipe(recipe, epochs, batch_size, precision),
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
    begin = _start(start, data)
    if begin:
      starts.check_normalisation('start', begin, frozen.normalisation)
    assembly.dry_run(experiment, data, frozen.network, begin and begin.network)
    with _claimed(folder, experiment, data, frozen, begin):
      run.execute(experiment, data, frozen, folder, 'students', execution, begin)
      if workdir is not None:
        record.teacher('teacher', frozen, data, folder)
      trained = _networks(folder, experiment, own)
      return Distillation(trained, teacher, _comparison(folder, teacher))


def _start(start: Start, data: Dataset) -> Bundle | None:
  if start is None:
    return None
  return starts.fitted('start', _trained('start', start).bundle, data.spec)


def _trained(what: str, given: TrainedNetwork | str | pathlib.Path) -> TrainedNetwork:
  if isinstance(given, TrainedNetwork):
    return given
  if not isinstance(given, str | os.PathLike):
    raise UserError(
      f'{what} is given as a {type(given).__name__}; give one trained network, or the folder of a '
      'bundle'
    )
  if given in models.names() and not os.path.exists(given):
    raise UserError(f'{what} is {given!r}, a network that is not trained; train it by kd.train')
  return load(given)


def _name(model: Network) -> str:
  if not isinstance(model, str | type):
    raise UserError(
      f'the network to train is given as a {type(model).__name__} object; give its name, such as '
      "'resnet8', or its class"
    )
  if isinstance(model, str):
    return model
  name = f'{model.__module__}:{model.__qualname__}'
  if models.families(name) != {model}:
    raise UserError(
      f'two classes are named {name!r}, and only the later one would train; give them different '
      'names'
    )
  return name


def _specs(choices: Choice | Sequence[Choice] | Mapping[str, Choice]) -> dict[str, MethodSpec]:
  """Return {label: method}; without labels the methods' names are taken."""
  if isinstance(choices, Mapping):
    for label in choices:
      check.check_label(label)
    specs = dict(zip(choices, _chosen(choices.values()), strict=True))
  else:
    if isinstance(choices, str | MethodSpec | type) or not isinstance(choices, Iterable):
      chosen = _chosen([choices])
    else:
      chosen = _chosen(choices)
    # The class's name is enough of a user's own method.
    specs = {spec.name.rpartition(':')[2]: spec for spec in chosen}
    if len(specs) < len(chosen):
      raise UserError('a method is named twice; give labels, e.g. {"a": ..., "b": ...}')
  if not specs:
    raise UserError("no method was given; name one, e.g. methods='pidkd'")
  for label in specs:
    check.check_label(label)
  return specs


def _chosen(choices: Iterable[Choice]) -> list[MethodSpec]:
  """Return the choices as specs.

  Raises:
    UserError: a name has come to stand for another class.
  """
  specs = []
  for choice in choices:
    if not isinstance(choice, str | MethodSpec | type):
      raise UserError(
        f'a method is given as a {type(choice).__name__}; give its name, its class, or '
        'kd.method(...)'
      )
    specs.append(choice if isinstance(choice, MethodSpec) else registered.method(choice))
  for spec in specs:
    if catalog.class_of(spec.name)[0] is not spec.kind:
      raise UserError(
        f'two classes are named {spec.name!r}, and only the later one would train; give them '
        'different names, or call kd.method anew after a class was defined anew'
      )
  return specs


def _recipe(recipe: Recipe, epochs: int, batch_size: int | None, precision: str | None) -> Recipe:
  given = {'batch_size': batch_size, 'precision': precision}
  changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
  changes['total_epochs'] = epochs
  values = {one.name: changes.get(one.name, getattr(recipe, one.name)) for one in table.RECIPE}
  return Recipe(**{name: _checked(name, value) for name, value in values.items()})


def _optimizer(learning_rate: float, weight_decay: float) -> OptimizerHparams:
  return OptimizerHparams(
    _checked('learning_rate', learning_rate), _checked('weight_decay', weight_decay)
  )


def _checked(name: str, value: Any) -> Any:
  """Return the value of a parameter that is a field of a configuration, too, as that has it."""
  known = {field.name.removeprefix('data.'): field for field in table.FIELDS}
  return check.check_value(known[name], name, value)


def _experiment(
  members: tuple[Member, ...], data: Dataset, recipe: Recipe, crops: Crops, **fields: Any
) -> Experiment:
  for member in members:
    models.create(member.student, num_classes=data.spec.num_classes)
  numbers = {name: _checked(name, fields[name]) for name in _NUMBERS & fields.keys()}
  return Experiment(members=members, recipe=recipe, **crops.fields(data.spec), **(fields | numbers))


@contextlib.contextmanager
def _running(
  experiment: Experiment, folder: Folder, writers: Sequence[str]
) -> Iterator[tuple[pathlib.Path, Execution]]:
  """Enter the devices and a folder; without a folder of the user's, a temporary one."""
  writers = (writers,) if isinstance(writers, str) else writers
  available.check(writers)
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
      Execution(
        free_memory.available(), groups, signals=folder is not None, writers=tuple(writers)
      ),
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
  networks = description.describe_own(
    dict.fromkeys(member.student for member in experiment.members), data.spec.num_classes
  )
  content = dataclasses.asdict(experiment) | ({'networks': networks} if networks else {})
  # A folder of an older version lacks newer fields.
  defaults: dict[str, Any] = {
    f'{group}{field.name}': field.default
    for group, kind in (('', Experiment), ('recipe.', Recipe))
    for field in dataclasses.fields(kind)
    if field.default is not dataclasses.MISSING
  }
  rules = {'eval_every'}, defaults, (), check_part
  workdir.check(folder, 'config.json', content, *rules)
  run.check_data(folder, data)
  run.check_inputs(folder, teacher, start)
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
