"""The bundle with whose weights a training begins, fitted to the data: a teacher's or students'."""

import dataclasses
import logging
from collections.abc import Collection
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.models import class_order, distilled
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices

logger = logging.getLogger(__name__)

# A variable's place: its collection, its modules and its name.
_Path = tuple[str, ...]

# Classes in a line on the screen.
_NAMED = 3


def load(
  field: str, folder: str, spec: DatasetSpec, own: Collection[models.Family]
) -> Bundle | None:
  """Load the bundle that a field names, fitted to the data.

  Args:
    field: the user's name of the field.
    folder: of the bundle; '' for none.
    spec: of the data to train on.
    own: as `bundle.load` takes it.

  Raises:
    UserError: the bundle cannot be loaded; or as `fitted`.
  """
  if not folder:
    return None
  loaded = bundle.load(local_path.resolve(field, folder), own)
  return fitted(f'{field} {folder!r}', loaded, spec)


def fitted(what: str, loaded: Bundle, spec: DatasetSpec) -> Bundle:
  """Return a bundle as a start for a training on other data, on the devices.

  Of a distilled network the student is taken. A classifier that knows every class of the data by
  name is kept, for these classes in their order. Any other is left out, so that a training begins
  with a random one. The log says which.

  Args:
    what: the subject of messages.
    loaded: the bundle. Its digest and its card stay as they are.
    spec: of the data.

  Raises:
    UserError: a weight does not fit images of this size or number of channels.
  """
  network = distilled.extract_student(loaded.network)
  model = network.model.clone(num_classes=spec.num_classes)
  shapes = class_order.shapes(model, spec.image_shape)
  axes = class_order.class_axes(model, spec.image_shape)
  held: dict[_Path, Any] = traverse_util.flatten_dict(network.variables)
  for path, value in held.items():
    needed = list(shapes[path].shape)
    if path in axes:
      needed[axes[path]] = network.model.num_classes
    if list(value.shape) != needed:
      raise UserError(
        f'{what} has {"/".join(path)} of shape {list(value.shape)}, and the images of {spec.name}, '
        f'{list(spec.image_shape)}, need {needed}; give another bundle, or none'
      )
  if axes.keys() & held.keys():
    positions = _positions(what, loaded, spec)
    for path in axes.keys() & held.keys():
      whole = held.pop(path)
      if positions is not None:
        held[path] = jnp.take(whole, jnp.asarray(positions), axis=axes[path])
  variables = devices.put_replicated(traverse_util.unflatten_dict(held))
  return dataclasses.replace(loaded, network=Network(variables, model))


def check_normalisation(what: str, start: Bundle, wanted: Normalisation) -> None:
  """Raise UserError where students would see other pixels than the bundle that they start from.

  Args:
    what: the subject of the message.
    start: the bundle.
    wanted: their teacher's, which they train with.
  """
  for name in ('mean', 'std'):
    theirs, needed = (list(getattr(one.numbers(), name)) for one in (start.normalisation, wanted))
    # As networks see them.
    if not np.array_equal(np.asarray(theirs, np.float32), np.asarray(needed, np.float32)):
      raise UserError(
        f'{what} was trained with another {name} of the pixels than the teacher '
        f'({theirs} and not {needed}); give another bundle'
      )


def _positions(what: str, loaded: Bundle, spec: DatasetSpec) -> list[int] | None:
  """Return where a start's classifier has the classes of the data, or None if it lacks any."""
  names, number = loaded.card['dataset']['class_names'], loaded.network.model.num_classes
  if names is None and number == spec.num_classes:
    logger.warning(
      '%s does not say which classes it knows; they are taken to be those of %s in its order',
      what,
      spec.name,
    )
    return list(range(number))
  places: dict[str, int] = {name: place for place, name in enumerate(names or ())}
  unknown = [name for name in spec.class_names if name not in places]
  if not unknown:
    logger.info('%s: its classifier is kept for the %d classes', what, spec.num_classes)
    return [places[name] for name in spec.class_names]
  logger.info(
    '%s: its classifier starts anew, as it does not know %d of the %d classes: %s',
    what,
    len(unknown),
    spec.num_classes,
    listed(unknown, _NAMED),
  )
  return None
