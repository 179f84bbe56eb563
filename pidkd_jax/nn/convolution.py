"""Formulations of convolutions that XLA runs slowly as such, above all on CPU.

Each has the signature that `nn.Conv(conv_general_dilated=...)` calls, NHWC and HWIO, and equals
`lax.conv_general_dilated` where it applies.
"""

import contextlib
import contextvars
import enum
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from pidkd_jax.nn.precision import to_float32

# Winograd's sums cost as much as the products that they save below so many channels,
_LEAST_CHANNELS = 32
# and in the kernel's gradient, which XLA's own convolution computes well, below so many.
_LEAST_CHANNELS_OF_GRADIENT = 64


class _Traced(enum.Enum):
  """What a program that is being traced is for."""

  HERE = enum.auto()
  ANYWHERE = enum.auto()
  CONVERSION = enum.auto()


_traced = contextvars.ContextVar('traced', default=_Traced.HERE)


@contextlib.contextmanager
def _within(what: _Traced) -> Iterator[None]:
  token = _traced.set(what)
  try:
    yield
  finally:
    _traced.reset(token)


def plain() -> contextlib.AbstractContextManager[None]:
  """What is traced within has each convolution as such, for what knows convolutions itself."""
  return _within(_Traced.CONVERSION)


def portable() -> contextlib.AbstractContextManager[None]:
  """What is traced within chooses a formulation where it is compiled, for one program on many."""
  return _within(_Traced.ANYWHERE)


def _formulation(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
  """A formulation that gives way to the convolution itself within `plain`."""

  @functools.wraps(function)
  def chosen(x, kernel, strides, padding, **settings):
    if _traced.get() is _Traced.CONVERSION:
      return lax.conv_general_dilated(x, kernel, strides, padding, **settings)
    return function(x, kernel, strides, padding, **settings)

  return chosen


@_formulation
def fastest(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  """`lax.conv_general_dilated` in the formulation that is fastest where it runs.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, C // groups, M].
    strides: in both directions.
    padding: ((top, bottom), (left, right)).
    **settings: what else `nn.Conv` passes on.

  Returns:
    [B, H', W', M].
  """
  convolve = functools.partial(
    lax.conv_general_dilated, window_strides=strides, padding=padding, **settings
  )
  if _traced.get() is _Traced.ANYWHERE and _winograd_fits(x, kernel, strides, padding):
    return lax.platform_dependent(x, kernel, cpu=winograd, default=convolve)
  if not _winograd_pays(x, kernel, strides, padding):
    return convolve(x, kernel)
  by_tiles = min(kernel.shape[2:]) >= _LEAST_CHANNELS_OF_GRADIENT
  return _differentiable(x, kernel, winograd if by_tiles else convolve)


@_formulation
def fastest_stacked(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """The same for kernels that `vmap` stacks, where a convolution would become a grouped one."""
  if _winograd_pays(x, kernel, strides, padding):
    return _differentiable(x, kernel, winograd)
  return by_dot(x, kernel, strides, padding)


def _winograd_pays(x: jax.Array, kernel: jax.Array, strides, padding) -> bool:
  here = jax.default_backend() == 'cpu' and _traced.get() is _Traced.HERE
  return here and _winograd_fits(x, kernel, strides, padding)


def _winograd_fits(x: jax.Array, kernel: jax.Array, strides, padding) -> bool:
  return (
    x.dtype == jnp.float32
    and kernel.shape[:3] == (3, 3, x.shape[-1])
    and min(kernel.shape[2:]) >= _LEAST_CHANNELS
    and tuple(strides) == (1, 1)
    and tuple(map(tuple, padding)) == ((1, 1), (1, 1))
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _differentiable(
  x: jax.Array, kernel: jax.Array, convolution: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
  """`winograd` with gradients that are convolutions again.

  Its transposition scatters tiles that overlap, at twice the cost. The map's gradient is the
  convolution with the kernel turned by 180 degrees, the kernel's is that of `convolution`.
  """
  del convolution
  return winograd(x, kernel)


def _forward(x, kernel, convolution):
  return _differentiable(x, kernel, convolution), (x, kernel)


def _backward(convolution, residuals, cotangent):
  x, kernel = residuals
  turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  [of_kernel] = jax.linear_transpose(functools.partial(convolution, x), kernel)(cotangent)
  return winograd(cotangent, turned), of_kernel


_differentiable.defvjp(_forward, _backward)


# Each row of a matrix gives one sum of the parts that it is applied to.
_OF_INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_OF_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OF_PRODUCTS = ((1, 1, 1, 0), (0, 1, -1, -1))


# Compiled under a name of its own, by which `evaluation.cost` knows it in a larger program.
@jax.jit
def winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """A 3x3 convolution of stride 1 and padding 1 with 4 in place of 9 products for each output.

  Tiles of 4x4 inputs give 2x2 outputs by 16 products with the transformed kernel, each a matrix
  product over all tiles. The sums around them round: within 1e-6 of the plain convolution in
  float32.

  Source: F(2x2, 3x3) of Lavin and Gray 2016, arXiv:1509.09308, Sec. 4.1.

  Args:
    x: [B, H, W, C].
    kernel: [3, 3, C, M].

  Returns:
    [B, H, W, M].
  """
  batch, height, width, channels = x.shape
  features = kernel.shape[-1]
  rows, columns = -(-height // 2), -(-width // 2)
  x = jnp.pad(x, ((0, 0), (1, 1 + 2 * rows - height), (1, 1 + 2 * columns - width), (0, 0)))
  tiles = [
    [x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for j in range(4)]
    for i in range(4)
  ]
  kernels = _combine(_OF_KERNEL, [list(row) for row in kernel])
  products = [
    [tile.reshape(-1, channels) @ part for tile, part in zip(*parts, strict=True)]
    for parts in zip(_combine(_OF_INPUT, tiles), kernels, strict=True)
  ]
  y = jnp.stack([jnp.stack(row, axis=1) for row in _combine(_OF_PRODUCTS, products)], axis=1)
  y = y.reshape(batch, rows, columns, 2, 2, features).swapaxes(2, 3)
  return y.reshape(batch, 2 * rows, 2 * columns, features)[:, :height, :width]


def _combine(
  matrix: Sequence[Sequence[float]], parts: Sequence[Sequence[jax.Array]]
) -> list[list[jax.Array]]:
  """matrix @ parts @ matrix.T, for a square of arrays."""

  def along(vector):
    return [_sum(row, vector) for row in matrix]

  columns = [along(column) for column in zip(*parts, strict=True)]
  return [along(row) for row in zip(*columns, strict=True)]


def _sum(row: Sequence[float], parts: Sequence[jax.Array]) -> jax.Array:
  """The weighted sum in as few operations as it takes, each of which costs time to compile."""
  added, taken = [], []
  for weight, part in zip(row, parts, strict=True):
    if weight:
      (added if weight > 0 else taken).append(part if abs(weight) == 1 else abs(weight) * part)
  return functools.reduce(lax.sub, [functools.reduce(lax.add, added), *taken])


def by_dot(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """A stride-1 convolution as one matrix product over patches.

  Under `vmap` over kernels a convolution becomes a grouped one, which XLA runs several times
  slower on CPU; a matrix product becomes a batched matrix product.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, C, M].
    strides: must be 1.
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', M].
  """
  if any(s != 1 for s in strides):
    raise ValueError(f'a convolution by dot has stride 1, not {strides}')
  height, width, channels, features = kernel.shape
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  patches = [x[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
  patches = jnp.concatenate(patches, axis=-1)
  return patches @ kernel.reshape(height * width * channels, features)


@_formulation
def grouped_by_dot(
  x: jax.Array, kernel: jax.Array, strides, padding, feature_group_count: int, **_
) -> jax.Array:
  """A grouped 1x1 convolution as a batched matrix product.

  Args:
    x: [B, H, W, C].
    kernel: [1, 1, C // groups, M].
    strides: must be 1.
    padding: must be 0.
    feature_group_count: the number of groups.

  Returns:
    [B, H, W, M], group by group.
  """
  if kernel.shape[:2] != (1, 1) or any(s != 1 for s in strides) or any(map(any, padding)):
    raise ValueError('a grouped convolution by dot is 1x1, of stride 1 and without padding')
  groups, (size, features) = feature_group_count, kernel.shape[2:]
  x = x.reshape(*x.shape[:3], groups, size)
  y = jnp.einsum('bhwgc,cgm->bhwgm', x, kernel.reshape(size, groups, features // groups))
  return y.reshape(*y.shape[:3], features)


@_formulation
def depthwise_by_shift(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """A depthwise convolution as a sum of shifted maps, one for each tap of the kernel.

  On two CPU cores twenty times faster forward, and four to twenty times with its gradient.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, 1, C].
    strides: in both directions.
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', C].
  """
  if kernel.shape[2] != 1 or kernel.shape[3] != x.shape[-1]:
    raise ValueError(f'a kernel {list(kernel.shape)} is not depthwise on {x.shape[-1]} channels')
  return depthwise_of_padded(jnp.pad(x, ((0, 0), *padding, (0, 0))), kernel, tuple(strides))


# Compiled under a name of its own, by which `evaluation.cost` knows it in a larger program.
@functools.partial(jax.jit, static_argnames='strides')
def depthwise_of_padded(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
  """`depthwise_by_shift` of a map that is padded already."""
  (height, width), (down, right) = kernel.shape[:2], strides
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  # Many terms of one sum: bfloat16 would round each.
  kernel = to_float32(kernel)
  return sum(
    x[:, i : i + rows : down, j : j + columns : right] * kernel[i, j, 0]
    for i in range(height)
    for j in range(width)
  ).astype(x.dtype)
