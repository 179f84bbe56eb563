"""A teacher before, in and after its training: as shapes, by name, trained or loaded."""

import dataclasses
import hashlib
import json
import logging
import pathlib
from collections.abc import Collection

import jax
import jax.numpy as jnp

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import DatasetSpec, Network
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import run, workdir
from pidkd_jax.models import norm_fusion
from pidkd_jax.parallel import devices

logger = logging.getLogger(__name__)


def untrained(network: str, spec: DatasetSpec) -> Network:
  """The teacher of that name as shapes."""
  model = models.create(network, num_classes=spec.num_classes)
  image = jax.ShapeDtypeStruct((1, *spec.image_shape), jnp.float32)
  return Network(jax.eval_shape(model.init, jax.random.key(0), image), model)


def name(plan: run.Experiment, dataset: Dataset) -> str:
  """Says dataset, model, seed and length; the digest stands for the whole recipe and the data."""
  recipe = dataclasses.asdict(plan)
  if not plan.holdout:  # Then evaluations along the way change nothing.
    del recipe['eval_every']
  # A network of the user's own may change under the same name.
  model = models.create(plan.members[0].student, num_classes=dataset.spec.num_classes)
  whole = json.dumps([recipe, models.describe(model), dataset.spec.fingerprint], sort_keys=True)
  digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
  network = plan.members[0].student.replace(':', '.')
  return f'{dataset.spec.name}-{network}-seed{plan.seed}-{plan.recipe.total_epochs}epochs-{digest}'


def trained(
  plan: run.Experiment, folder: pathlib.Path, dataset: Dataset, pace: run.Execution
) -> Bundle:
  """The teacher that this plan gives on these data: kept from an earlier run, or trained.

  Args:
    plan: of the teacher alone.
    folder: where it is or will be kept.
    dataset: to train on.
    pace: of the training.

  Raises:
    UserError, Stopped: as `run.execute` and `load`.
  """
  [member] = plan.members
  place = folder / 'bundles' / member.name
  if place.exists():
    logger.info('teacher: kept in %s', place)
  else:
    logger.info('teacher: trained now, to be kept in %s', place)
    workdir.claim(folder, 'config.json', dataclasses.asdict(plan), {'eval_every'})
    run.execute(plan, dataset, None, folder, 'teacher', pace)
  return load(place, dataset, models.families(member.student))


def load(folder: pathlib.Path, dataset: Dataset, own: Collection[models.Family]) -> Bundle:
  """A teacher in its inference form, on the devices; arguments and errors as `fitting`'s."""
  loaded = fitting('teacher.bundle', folder, dataset, own)
  frozen = norm_fusion.fuse_norms(loaded.network)
  return dataclasses.replace(
    loaded, network=frozen.replace(variables=devices.put_replicated(frozen.variables))
  )


def fitting(
  field: str, folder: pathlib.Path, dataset: Dataset, own: Collection[models.Family]
) -> Bundle:
  """Loads a bundle that a field names, and makes sure that it was trained for these data.

  Args:
    field: as the user calls it.
    folder: of the bundle.
    dataset: to be trained on.
    own: as `bundle.load` takes it.

  Raises:
    UserError: it cannot be loaded, or has other classes or image sizes.
  """
  loaded = bundle.load(folder, own)
  theirs, ours = loaded.card['dataset'], dataset.spec
  known = theirs['class_names'] is not None
  num_classes = len(theirs['class_names']) if known else loaded.network.model.num_classes
  if (
    num_classes != ours.num_classes
    or tuple(theirs['image_shape']) != ours.image_shape
    or (known and (tuple(theirs['class_names']), theirs['name']) != (ours.class_names, ours.name))
  ):
    raise UserError(
      f'{field} {str(folder)!r} is for the {num_classes} classes of '
      f'{theirs["name"] or "unknown data"} at {theirs["image_shape"]} and not for the '
      f'{ours.num_classes} of {ours.name} at {list(ours.image_shape)}; '
      'give another bundle, or none'
    )
  if not known:
    logger.warning(
      '%s does not say which classes it knows; they are taken to be those of %s in its order',
      field,
      ours.name,
    )
  return loaded


def origin(teacher: Bundle, own: Collection[models.Family]) -> Bundle | None:
  """Who taught the teacher, where it lies where it lay then."""
  known = teacher.card.get('training', {}).get('teacher')
  if not known:
    return None
  try:
    found = bundle.load(pathlib.Path(known['folder']), own | models.families(teacher.network.model))
    if found.digest != known['digest']:
      raise UserError(f'{str(found.folder)!r} holds another one now')
  except UserError as error:
    logger.warning('nothing is compared with the first teacher: %s', error)
    return None
  return found
