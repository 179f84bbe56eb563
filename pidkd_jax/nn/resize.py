"""Bring maps to another resolution: by averaging over area, or by cubic convolution."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.nn.precision import to_float32


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
  twice, which moves the mean. The sums are taken in float32 and rounded once to the map's type, as
  bfloat16 would bias the mean by up to 0.4%.

  Args:
    x: [B, H, W, C].
    size: (h, w). A direction in which the map is smaller already stays as it is.

  Returns:
    [B, min(H, h), min(W, w), C].

  Example:
    >>> average_to(jnp.ones((8, 7, 7, 64)), (4, 4)).shape
    (8, 4, 4, 64)
  """
  dtype = x.dtype
  for axis, out in zip((1, 2), size, strict=True):
    if x.shape[axis] > out:
      x = to_float32(x)
      weights = jnp.asarray(_area_weights(x.shape[axis], out), x.dtype)
      x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
  return x.astype(dtype)


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


@functools.cache
def _cubic_weights(size_in: int, size_out: int) -> np.ndarray:
  """[out, in] weights of cubic convolution, as wide as an output cell where that is the larger."""
  step = size_in / size_out
  centres = (np.arange(size_out) + 0.5) * step - 0.5
  x = np.abs(centres[:, None] - np.arange(size_in)) / max(step, 1)
  near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
  weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
  return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def cubic_to(x: jax.Array, size: Sequence[int]) -> jax.Array:
  """Resample a grid by cubic convolution, [H, W, C] -> [h, w, C], without aliasing.

  It equals `jax.image.resize(x, ..., 'cubic')`, and is two matrix products, which ONNX has.

  Args:
    x: [H, W, C].
    size: (h, w).

  Source: Keys 1981, doi:10.1109/TASSP.1981.1163711, with a = -0.5.

  Example:
    >>> cubic_to(jnp.ones((14, 14, 192)), (4, 6)).shape
    (4, 6, 192)
  """
  for axis, out in enumerate(size):
    weights = jnp.asarray(_cubic_weights(x.shape[axis], out), x.dtype)
    x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
  return x
