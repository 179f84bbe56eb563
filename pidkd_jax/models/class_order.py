"""The classes of a network in another order."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network

# A variable's place: its collection, its modules and its name.
_Path = tuple[str, ...]


def shapes(model: Model, image_shape: Sequence[int]) -> dict[_Path, Any]:
  """Return {path: shape and type} of a model's variables for images [H, W, C]."""
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  return traverse_util.flatten_dict(jax.eval_shape(model.init, jax.random.key(0), image))


def class_axes(model: Model, image_shape: Sequence[int]) -> dict[_Path, int]:
  """Return {path: axis of the classes} of the variables whose shape depends on their number."""
  now = shapes(model, image_shape)
  more = shapes(model.clone(num_classes=model.num_classes + 1), image_shape)
  return {
    path: axis
    for path, one in now.items()
    for axis, sizes in enumerate(zip(one.shape, more[path].shape, strict=True))
    if sizes[0] != sizes[1]
  }


def reordered(network: Network, image_shape: Sequence[int], positions: Sequence[int]) -> Network:
  """Return a network whose class k is class positions[k] of the given one.

  Args:
    network: with K classes.
    image_shape: [H, W, C] of its images.
    positions: a permutation of 0 to K - 1.
  """
  held: dict[_Path, Any] = traverse_util.flatten_dict(network.variables)
  for path, axis in class_axes(network.model, image_shape).items():
    held[path] = jnp.take(held[path], jnp.asarray(positions), axis=axis)
  return network.replace(variables=traverse_util.unflatten_dict(held))
