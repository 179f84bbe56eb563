"""Bring two maps to one resolution by averaging over area."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


@functools.cache
def _area_weights(size_in: int, size_out: int) -> np.ndarray:
  """[out, in] weights with which each output cell averages the input cells that it overlaps."""
  edges_in = np.arange(size_in + 1) / size_in
  edges_out = np.arange(size_out + 1) / size_out
  low = np.maximum(edges_out[:-1, None], edges_in[None, :-1])
  high = np.minimum(edges_out[1:, None], edges_in[None, 1:])
  return (np.clip(high - low, 0, None) * size_out).astype(np.float32)


def average_to(x: jax.Array, size: Sequence[int]) -> jax.Array:
  """Average a map down to `size` by area, which keeps its spatial mean exactly.

  Where the sizes divide, this is average pooling. Where they do not, neighbouring output cells
  share an input cell by the area of the overlap. PyTorch's adaptive pooling counts such a cell
  twice, which moves the mean.

  Args:
    x: [B, H, W, C].
    size: (h, w). A direction in which the map is smaller already stays as it is.

  Returns:
    [B, min(H, h), min(W, w), C].

  Example:
    >>> average_to(jnp.ones((8, 7, 7, 64)), (4, 4)).shape
    (8, 4, 4, 64)
  """
  for axis, out in zip((1, 2), size, strict=True):
    if x.shape[axis] > out:
      weights = jnp.asarray(_area_weights(x.shape[axis], out), x.dtype)
      x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
  return x


def match_resolution(student: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Average the larger of two maps [B, H, W, C] to the size of the smaller one.

  Example:
    >>> maps = match_resolution(jnp.ones((8, 8, 8, 64)), jnp.ones((8, 4, 4, 128)))
    >>> [each.shape for each in maps]
    [(8, 4, 4, 64), (8, 4, 4, 128)]
  """
  return (
    average_to(student, target.shape[1:3]),
    average_to(target, student.shape[1:3]),
  )
