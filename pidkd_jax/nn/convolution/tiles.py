"""Winograd's convolution: fewer products over tiles of the map."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

# The transforms B^T, G and A^T of Lavin and Gray: each row gives the weights of one sum of parts.
_INPUT_TRANSFORM = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL_TRANSFORM = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OUTPUT_TRANSFORM = ((1, 1, 1, 0), (0, 1, -1, -1))


# Jitted, so that all layers of one shape share one trace and one function of the program.
@jax.jit
def winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Compute a 3x3 convolution of stride 1 and padding 1 with 4 instead of 9 products per output.

  Each tile of 4x4 inputs gives 2x2 outputs by 16 products with the transformed kernel. Each of the
  16 is one matrix product over all tiles. The sums around them round, so in float32 the result lies
  within 1e-6 of the plain convolution.

  Args:
    x: [B, H, W, C], the map.
    kernel: [3, 3, C, M].

  Returns:
    [B, H, W, M].

  Source: Lavin and Gray 2016, arXiv:1509.09308, Sec. 4.1, F(2x2, 3x3).

  Example:
    >>> y = winograd(jnp.ones((1, 2, 3, 1)), jnp.ones((3, 3, 1, 1)))
    >>> y[0, :, :, 0].tolist()  # Each output counts its neighbours within the map.
    [[4.0, 6.0, 4.0], [4.0, 6.0, 4.0]]
  """
  batch, height, width, channels = x.shape
  features = kernel.shape[-1]
  rows, columns = -(-height // 2), -(-width // 2)
  x = jnp.pad(x, ((0, 0), (1, 1 + 2 * rows - height), (1, 1 + 2 * columns - width), (0, 0)))
  tiles = [
    [x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for j in range(4)]
    for i in range(4)
  ]
  kernels = _combine(_KERNEL_TRANSFORM, [list(row) for row in kernel])
  products = [
    [tile.reshape(-1, channels) @ part for tile, part in zip(*parts, strict=True)]
    for parts in zip(_combine(_INPUT_TRANSFORM, tiles), kernels, strict=True)
  ]
  y = jnp.stack([jnp.stack(row, axis=1) for row in _combine(_OUTPUT_TRANSFORM, products)], axis=1)
  y = y.reshape(batch, rows, columns, 2, 2, features).swapaxes(2, 3)
  return y.reshape(batch, 2 * rows, 2 * columns, features)[:, :height, :width]


def _combine(
  matrix: Sequence[Sequence[float]], parts: Sequence[Sequence[jax.Array]]
) -> list[list[jax.Array]]:
  """Return matrix @ parts @ matrix.T, for a square of arrays."""

  def along(vector):
    return [_sum(row, vector) for row in matrix]

  columns = [along(column) for column in zip(*parts, strict=True)]
  return [along(row) for row in zip(*columns, strict=True)]


def _sum(row: Sequence[float], parts: Sequence[jax.Array]) -> jax.Array:
  """Return the weighted sum in as few operations as possible: each one costs time to compile."""
  added, subtracted = [], []
  for weight, part in zip(row, parts, strict=True):
    if weight:
      term = part if abs(weight) == 1 else abs(weight) * part
      (added if weight > 0 else subtracted).append(term)
  return functools.reduce(lax.sub, [functools.reduce(lax.add, added), *subtracted])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def differentiable_winograd(
  x: jax.Array, kernel: jax.Array, kernel_gradient: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
  """Compute `winograd`, with gradients that are convolutions again.

  Its plain transpose would scatter overlapping tiles, at twice the cost. The gradient of the map is
  a convolution with the kernel turned by 180 degrees. The gradient of the kernel is that of the
  convolution `kernel_gradient`.
  """
  del kernel_gradient
  return winograd(x, kernel)


def _forward(x, kernel, kernel_gradient):
  return differentiable_winograd(x, kernel, kernel_gradient), (x, kernel)


def _backward(kernel_gradient, residuals, cotangent):
  x, kernel = residuals
  turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  transpose = jax.linear_transpose(functools.partial(kernel_gradient, x), kernel)
  return winograd(cotangent, turned), *transpose(cotangent)


differentiable_winograd.defvjp(_forward, _backward)
