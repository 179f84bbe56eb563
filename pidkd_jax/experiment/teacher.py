"""Find, train or load the teacher of a job."""

import dataclasses
import hashlib
import json
import logging
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import regular_file
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.core.value import as_json
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import run, workdir
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Training:
  """The training of a teacher.

  Attributes:
    experiment: of the teacher alone.
    folder: where it is or will be kept (`folder_of`).
    start: with whose variables it begins (`start.fitted`), or None.
  """

  experiment: Experiment
  folder: pathlib.Path
  start: Bundle | None = None


def untrained(name: str, spec: DatasetSpec) -> Network:
  """Return a network as shapes, with a classifier over the dataset's classes."""
  model = models.create(name, num_classes=spec.num_classes)
  return Network.shapes(model, spec.image_shape)


def folder_of(
  experiment: Experiment, dataset: Dataset, home: pathlib.Path, start: Bundle | None = None
) -> pathlib.Path:
  """Return where the teacher of this experiment is kept under `home`, or where it will be kept.

  A teacher is recognised by what its folder says of its training, not by the folder's name. So a
  field that is new in this version, at its default, does not train kept teachers anew.

  Args:
    experiment: the teacher's training.
    dataset: that it trains on.
    home: folder of all kept teachers.
    start: with whose variables it begins, or None.
  """
  for config in sorted(home.glob('*/config.json')):
    if _is_of(Training(experiment, config.parent, start), dataset):
      return config.parent
  network = experiment.members[0].student.replace(':', '.')
  epochs = experiment.recipe.total_epochs
  identity: list[Any] = [_config(experiment.decisive(), dataset), dataset.spec.fingerprint]
  if start:
    identity.append(start.digest)
  digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
  name = f'{dataset.spec.name}-{network}-seed{experiment.seed}-{epochs}epochs-{digest}'
  return home / name


def _is_of(training: Training, dataset: Dataset) -> bool:
  """Whether a folder holds this training, finished or unfinished."""
  folder, experiment = training.folder, training.experiment
  try:
    config = regular_file.read_object(folder / 'config.json')
    inputs = regular_file.read_object(folder / 'inputs.json')
    model = config.pop('model', None) or _model_of_card(_bundle(folder, experiment))
    saved = Experiment.from_json(config)
    data = (inputs['fingerprint'], inputs.get('start'))
  except (OSError, ValueError, TypeError, KeyError, AttributeError):
    return False
  wanted = as_json(_config(experiment, dataset)['model'])
  return (
    saved.decisive() == experiment.decisive()
    and data == (dataset.spec.fingerprint, _digest(training.start))
    # An unfinished training of version 0.1.0 does not describe its network.
    and model in (wanted, None)
  )


def _digest(start: Bundle | None) -> str | None:
  return start and start.digest


def _model_of_card(bundle_folder: pathlib.Path) -> dict[str, Any] | None:
  card = bundle_folder / 'card.json'
  return regular_file.read_object(card)['model'] if card.exists() else None


def _config(experiment: Experiment, dataset: Dataset) -> dict[str, Any]:
  """Return what config.json of a teacher's folder says."""
  [member] = experiment.members
  # A user's own network may change under the same name.
  model = models.create(member.student, num_classes=dataset.spec.num_classes)
  return {**dataclasses.asdict(experiment), 'model': models.describe(model)}


def check(training: Training, dataset: Dataset) -> None:
  """Raise UserError where the teacher can neither be loaded from its folder nor trained there."""
  if not _is_of(training, dataset):
    config = _config(training.experiment, dataset)
    workdir.check(training.folder, 'config.json', config, {'eval_every'})


def _bundle(folder: pathlib.Path, experiment: Experiment) -> pathlib.Path:
  return folder / 'bundles' / experiment.members[0].name


def train(training: Training, dataset: Dataset, execution: Execution) -> Bundle:
  """Return the teacher that a training gives: kept from an earlier run, or trained now.

  Args:
    training: of the teacher.
    dataset: to train on.
    execution: how it is trained.

  Raises:
    UserError, Stopped: as `run.execute` and `load`; or another process trains it.
  """
  if teacher := kept(training, dataset):
    return teacher
  experiment, folder = training.experiment, training.folder
  logger.info('teacher: trained now, to be kept in %s', folder)
  with workdir.locked(folder):
    if not _is_of(training, dataset):
      workdir.claim(folder, 'config.json', _config(experiment, dataset), {'eval_every'})
    run.execute(experiment, dataset, None, folder, 'teacher', execution, training.start)
  own = models.families(experiment.members[0].student)
  return load(_bundle(folder, experiment), dataset, own)


def kept(training: Training, dataset: Dataset) -> Bundle | None:
  """Return the teacher that an earlier run left in its folder, or None.

  Raises:
    UserError: as `load`; or the bundle there comes from another training.
  """
  experiment = training.experiment
  place = _bundle(training.folder, experiment)
  if not place.exists():
    return None
  teacher = load(place, dataset, models.families(experiment.members[0].student))
  if not _is_made_by(teacher.card, training, dataset):
    raise UserError(
      f'the bundle {str(place)!r} does not come from the training that config.json beside it says; '
      f'put the right one back, or remove {str(training.folder)!r} to train it again'
    )
  logger.info('teacher: kept in %s', place)
  return teacher


def _is_made_by(card: Mapping[str, Any], training: Training, dataset: Dataset) -> bool:
  """Whether a bundle's card tells of this training."""
  try:
    told = dict(card['training'])
    names = {field.name for field in dataclasses.fields(Experiment)} & told.keys()
    fields = {name: told[name] for name in names} | {'members': [told['member']]}
    saved = Experiment.from_json(fields)
    start = (told.get('start') or {}).get('digest')
  except (ValueError, TypeError, KeyError, AttributeError):
    return False
  fingerprint = card['dataset'].get('fingerprint')
  return (saved.decisive(), fingerprint, start) == (
    training.experiment.decisive(),
    dataset.spec.fingerprint,
    _digest(training.start),
  )


def load(folder: pathlib.Path, dataset: Dataset, own: Collection[models.Family]) -> Bundle:
  """Load a teacher in its inference form onto the devices.

  Args:
    folder: of the bundle.
    dataset: to be trained on.
    own: as `bundle.load` takes it.

  Raises:
    UserError: the bundle cannot be loaded, or has other classes or image sizes.
  """
  loaded = bundle.load(folder, own)
  check_fit(f'teacher.bundle {str(folder)!r}', loaded, dataset.spec)
  return frozen(loaded)


def frozen(teacher: Bundle) -> Bundle:
  """Return a teacher in its inference form on the devices."""
  network = norm_fusion.fuse_norms(teacher.network, teacher.card['dataset']['image_shape'])
  network = network.replace(variables=devices.put_replicated(network.variables))
  return dataclasses.replace(teacher, network=network)


def check_fit(what: str, loaded: Bundle, spec: DatasetSpec) -> None:
  """Raise UserError, with `what` as its subject, where a bundle does not fit the data."""
  theirs = loaded.card['dataset']
  named = theirs['class_names'] is not None
  num_classes = len(theirs['class_names']) if named else loaded.network.model.num_classes
  shape = tuple(theirs['image_shape'])
  if num_classes != spec.num_classes or shape != spec.teacher_shape:
    raise UserError(
      f'{what} is for the {num_classes} classes of '
      f'{theirs["name"] or "unknown data"} at {list(shape)} and not for the '
      f'{spec.num_classes} of {spec.name} at {list(spec.teacher_shape)}; '
      + ('give another bundle, or none' if num_classes != spec.num_classes else _sized(shape, spec))
    )
  # An imported network may name its classes and no data set.
  if difference := class_difference(theirs['class_names'], spec.class_names):
    raise UserError(
      f'{what} and {spec.name} do not have the same classes: {difference}; give another bundle, '
      'or import it anew with --data, which takes care of their order'
    )
  if named and theirs['name'] not in (None, spec.name):
    logger.warning(
      '%s comes from %s, and the data are %s; their classes have the same names in the same order',
      what,
      theirs['name'],
      spec.name,
    )
  if loaded.crop_ratio != spec.crop_ratio:
    logger.warning(
      '%s is made for data.crop_ratio=%g, and the data are evaluated at %g',
      what,
      loaded.crop_ratio,
      spec.crop_ratio,
    )
  if not named:
    logger.warning(
      '%s does not say which classes it knows; they are taken to be those of %s in its order',
      what,
      spec.name,
    )


def _sized(shape: tuple[int, ...], spec: DatasetSpec) -> str:
  """Return how the data get the images of a teacher of as many classes, as the end of a message."""
  height, width, channels = shape
  if height != width or channels != spec.image_shape[-1]:
    return 'give another bundle, or none'
  if not spec.format:  # Arrays in memory.
    return f'give images of {height}x{width}, or another bundle'
  side = spec.image_shape[0]
  larger = f', or data.image_size={side} and data.teacher_size={height}' if height > side else ''
  return f'give data.image_size={height}{larger}'


def teacher_of(teacher: Bundle, own: Collection[models.Family], spec: DatasetSpec) -> Bundle | None:
  """Return the teacher's own teacher, where it still lies where its student's card says.

  Args:
    teacher: the bundle.
    own: as `bundle.load` takes it.
    spec: of the data to evaluate on. A teacher for images of another size is left out.
  """
  reference = teacher.card.get('training', {}).get('teacher')
  if not reference:
    return None
  try:
    families = {*own, *models.families(teacher.network.model)}
    origin = bundle.load(pathlib.Path(reference['folder']), families)
    if origin.digest != reference['digest']:
      raise UserError(f'{str(origin.folder)!r} holds another one now')
    if tuple(shape := origin.card['dataset']['image_shape']) != spec.teacher_shape:
      raise UserError(
        f'{str(origin.folder)!r} is for images of {list(shape)}, and {spec.name} has '
        f'{list(spec.teacher_shape)}'
      )
  except UserError as error:
    logger.warning('nothing is compared with the first teacher: %s', error)
    return None
  return origin
