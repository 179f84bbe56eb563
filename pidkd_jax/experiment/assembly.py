"""Put an experiment together, from shapes alone or with its data."""

import dataclasses
import logging

import jax
from clu import parameter_overview

from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline import augment
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.data.pipeline.schedule import batch_shapes
from pidkd_jax.data.pipeline.soft_labels import SoftLabels
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.evaluation.cost import Cost, cost, parameters
from pidkd_jax.experiment import own_network
from pidkd_jax.experiment.experiment import Experiment, in_precision
from pidkd_jax.methods import catalog
from pidkd_jax.models.network import Network
from pidkd_jax.nn import image_policies, precision
from pidkd_jax.training import calls, memory, partition
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.optimizer import Optimizer

logger = logging.getLogger(__name__)

# The hold-out is the same for all seeds, so that no teacher trains on what selects its students.
# So are the few images of each class, so that all rows and trials see the same ones.
_SELECTION_SEED = 0

# Labels in a line on the screen; the log file names all.
_NAMED = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Assembly:
  """An experiment whose cohort is ready for its first step. No image is on a device yet.

  Attributes:
    experiment: what is trained.
    cohort: the learners and their teacher.
    dataset: the data, without what is held out.
    held_out: what is held out, or None.
    shapes: a training batch as shapes.
  """

  experiment: Experiment
  cohort: Cohort
  dataset: Dataset
  held_out: Split | None
  shapes: Batch

  def batches(self, normalisation: Normalisation) -> Batches:
    """Put the training split onto the devices, or open it where it is streamed."""
    key, _ = _keys(self.experiment)
    return self.dataset.train.batches(
      normalisation,
      key,
      batch_size=self.experiment.recipe.batch_size,
      crop=augment.CROPS[self.experiment.crop](self.experiment),
      flip=self.experiment.flip,
      dtype=self.shapes.image.dtype,
      soft_labels=_soft_labels(self.experiment, self.dataset),
      policy=image_policies.POLICIES[self.experiment.recipe.augment](self.experiment.recipe),
    )

  @property
  def unlabelled(self) -> int:
    """The number of training images without a label."""
    return int((self.dataset.train.labels < 0).sum())

  def check_own_networks(self, teacher: Network | None = None) -> None:
    """Check the students and the teacher as far as the user wrote them (`own_network.check`)."""
    of = self.dataset.spec
    learners = zip(self.experiment.members, self.cohort.learners, strict=True)
    networks = {
      member.student: (learner.method.student, of.image_shape) for member, learner in learners
    }
    if teacher is not None:
      networks['the teacher'] = teacher.model, of.teacher_shape
    for name, (model, shape) in networks.items():
      image = jax.ShapeDtypeStruct((1, *shape), self.shapes.image.dtype)
      own_network.check(name, model, image, of.num_classes)

  def deployed(self) -> dict[str, Network]:
    """Return {label: the network that it would deploy, as shapes}."""
    states = jax.eval_shape(Cohort.init, self.cohort, self.shapes)
    return {
      member.label: self.cohort.deployed(member.name, states[member.name])
      for member in self.experiment.members
    }

  def division(self, execution: Execution) -> calls.Calls:
    """Return how an epoch is divided. Streamed data take one step a call."""
    if not self.dataset.train.batches_of.traceable:
      return calls.Calls()
    epoch = self.experiment.recipe.steps_per_epoch(len(self.dataset.train))
    return calls.plan(
      execution.steps_per_call, execution.look_ahead, epoch, self.cohort, self.shapes
    )

  def memory(self, execution: Execution | None = None) -> memory.MemoryEstimate:
    """Estimate the memory that the training takes, at least if no execution is given."""
    division = self.division(execution) if execution else calls.Calls()
    return memory.estimate(
      self.cohort,
      self.shapes,
      images=self.dataset.train.held_bytes(self.experiment.recipe.batch_size),
      selects=self.held_out is not None,
      look_ahead=division.look_ahead,
      side_by_side=bool(execution and execution.side_by_side and division.steps > 1),
    )


def assemble(
  experiment: Experiment, dataset: Dataset, teacher: Network | None, start: Network | None = None
) -> Assembly:
  """Put an experiment together.

  Args:
    experiment: what is trained.
    dataset: to train on.
    teacher: arrays, or shapes before it is trained; None if no member needs one.
    start: a student with whose variables the students begin.

  Raises:
    UserError: something in the experiment does not fit the data or cannot be trained.
  """
  rest, held_out = _parted(experiment, dataset)
  soft_labels = _soft_labels(experiment, dataset)
  shapes = batch_shapes(
    experiment.recipe.batch_size,
    dataset.spec.image_shape,
    precision.find(experiment.recipe.precision).dtype,
    soft_labels,
    dataset.spec.teacher_shape,
  )
  _, key = _keys(experiment)
  cohort = cohorts.assemble(
    experiment.members,
    teacher=teacher,
    dataset=rest.spec,
    image=shapes.seen,
    optimizer=Optimizer.from_recipe(experiment.recipe, len(rest.train)),
    key=key,
    start=start,
  )
  if soft_labels and soft_labels.alphas:
    _check_mixtures(experiment, cohort, shapes)
  return Assembly(experiment, cohort, rest, held_out, shapes)


def _soft_labels(experiment: Experiment, dataset: Dataset) -> SoftLabels | None:
  recipe = experiment.recipe
  soft_labels = SoftLabels(
    dataset.spec.num_classes, recipe.label_smoothing, recipe.mixup, recipe.cutmix
  )
  return soft_labels if soft_labels.is_used else None


def _check_mixtures(experiment: Experiment, cohort: Cohort, shapes: Batch) -> None:
  """Raise UserError for a method that needs the one class or the place of each image."""
  single = cohort.reading_single_images(shapes)
  for member in experiment.members:
    if member.name in single:
      recipe = experiment.recipe
      raise UserError(
        f'mixup is {recipe.mixup} and cutmix {recipe.cutmix}, and {member.method} reads the class '
        'or the place of single images, which a mixture has not; leave out either'
      )


def _keys(experiment: Experiment) -> tuple[jax.Array, jax.Array]:
  """Return the PRNG keys of the batches and of the members."""
  batches_key, members_key = jax.random.split(
    # By name, as a generator that a user sets otherwise may draw others under `vmap`.
    jax.random.key(experiment.seed, impl='threefry2x32')
  )
  return batches_key, members_key


def _parted(experiment: Experiment, dataset: Dataset) -> tuple[Dataset, Split | None]:
  """Return what an experiment trains on, and what it holds out."""
  held_out = None
  if experiment.holdout:
    dataset, held_out = dataset.hold_out(experiment.holdout, _SELECTION_SEED)
  if experiment.shots:
    dataset = dataset.few_shot(experiment.shots, _SELECTION_SEED, experiment.rest)
  dataset = dataset.join_unlabelled()
  if (dataset.train.labels < 0).any():
    _check_label_free(experiment)
  return dataset, held_out


def _check_label_free(experiment: Experiment) -> None:
  """Raise UserError where a member would read labels that are not there."""
  reading = {
    member.label: member.method
    for member in experiment.members
    if catalog.class_of(member.method)[0].needs_labels
  }
  if reading:
    free = [name for name in catalog.names() if not catalog.class_of(name)[0].needs_labels]
    raise UserError(
      f'{listed(list(reading), _NAMED)} cannot train on unlabelled images, as the loss reads '
      f'labels; leave the images out, or train methods that read none: {", ".join(free)}'
    )


def check(experiment: Experiment, dataset: Dataset) -> None:
  """Raise UserError where an experiment's hold-out or batches do not fit the data."""
  rest, _ = _parted(experiment, dataset)
  Optimizer.from_recipe(experiment.recipe, len(rest.train))


@in_precision
def costs(experiment: Experiment, dataset: Dataset, teacher: Network) -> dict[str, Cost]:
  """Return {label: the cost of what it would deploy}; nothing is trained."""
  networks = assemble(experiment, dataset, teacher).deployed()
  return {label: cost(network, dataset.spec.image_shape) for label, network in networks.items()}


@in_precision
def check_memory(experiment: Experiment, dataset: Dataset, teacher: Network, budget: int) -> None:
  """Raise UserError for a member that needs more than `budget` bytes."""
  estimate = assemble(experiment, dataset, teacher).memory()
  partition.into_cohorts(experiment.members, estimate, budget)


@in_precision
def check_network(experiment: Experiment, dataset: Dataset, start: Network | None) -> None:
  """Put a training without a teacher together, to see whether it can begin and be saved.

  Raises:
    UserError: it does not fit its start, a bundle cannot hold the network or its data, or its
      logits are not one for each class.
  """
  bundle.check_data(dataset.spec)
  assembled = assemble(experiment, dataset, None, start)
  assembled.check_own_networks()
  for network in assembled.deployed().values():
    bundle.check(network)


@in_precision
def dry_run(
  experiment: Experiment, dataset: Dataset, teacher: Network, start: Network | None = None
) -> None:
  """Put an experiment together without training, and log what it would deploy at what cost.

  No image goes to a device. A network that a bundle cannot hold is not worth training.

  Args:
    experiment: of the students.
    dataset: to train on.
    teacher: arrays, or shapes before it is trained.
    start: a student with whose variables the students begin.

  Raises:
    UserError: something in the experiment cannot be trained.
  """
  bundle.check_data(dataset.spec)
  bundle.check(teacher)
  assembled = assemble(experiment, dataset, teacher, start)
  assembled.check_own_networks(teacher)
  if unlabelled := assembled.unlabelled:
    total = len(assembled.dataset.train)
    logger.info(
      'students train on %s images with labels, which they do not read, and %s without; an epoch '
      'goes through both, in %s steps',
      f'{total - unlabelled:,}',
      f'{unlabelled:,}',
      f'{experiment.recipe.steps_per_epoch(total):,}',
    )
  networks = assembled.deployed()
  image_shape = dataset.spec.image_shape
  label, network = next(iter(networks.items()))
  overview = parameter_overview.get_parameter_overview(
    network.variables['params'], include_stats=False
  )
  logger.debug('what %s deploys:\n%s', label, overview)
  budget = cost(teacher, dataset.spec.teacher_shape)
  logger.debug('teacher: %s', budget)
  spent = {label: cost(network, image_shape) for label, network in networks.items()}
  sizes = [f'{label} {one.parameters:,}' for label, one in spent.items()]
  logger.info('parameters: teacher %s; %s', f'{budget.parameters:,}', listed(sizes, _NAMED))
  for label, network in networks.items():
    bundle.check(network)
    parts = ', '.join(
      f'{part} {parameters(tree):,}' for part, tree in network.variables['params'].items()
    )
    logger.debug('%s: %s%s', label, spent[label], f' ({parts})' if network.model.aligned else '')
    if spent[label].parameters >= budget.parameters:
      logger.warning(
        '%s would deploy %s parameters, no fewer than its teacher (%s): '
        'take a smaller student, a larger factor or fewer projectors',
        label,
        f'{spent[label].parameters:,}',
        f'{budget.parameters:,}',
      )
