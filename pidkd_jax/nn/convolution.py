"""Formulations of a convolution that run faster than XLA's own, above all on CPU.

Each takes NHWC maps and HWIO kernels, has the signature that `nn.Conv(conv_general_dilated=...)`
calls, and equals `lax.conv_general_dilated` where it applies. Padding may also be 'SAME' or
'VALID'. A dilated convolution is left to `lax.conv_general_dilated`.
"""

import contextlib
import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from pidkd_jax.nn.precision import to_float32
from pidkd_jax.nn.separate_convolution import separate

# Below this many channels, Winograd's sums cost as much as the products that they save.
_WINOGRAD_CHANNELS = 32
# The same for the kernel's gradient, which XLA's own convolution computes well.
_WINOGRAD_GRADIENT_CHANNELS = 64
# From this many channels on, a product over patches computes the gradient of a strided kernel
# faster than XLA's convolution, whose kernel would be as large as the map.
_STRIDED_GRADIENT_CHANNELS = 64


# The layouts of map, kernel and result.
_AXES = ('NHWC', 'HWIO', 'NHWC')


class _Target(enum.Enum):
  """Where a traced program will run."""

  HERE = enum.auto()
  ANY_PLATFORM = enum.auto()
  CONVERTER = enum.auto()


# A part of JAX's trace context: a jitted function is traced again where the target differs.
_target = jax.make_user_context(default_value=_Target.HERE)


def plain() -> contextlib.AbstractContextManager[None]:
  """Trace every formulation as `lax.conv_general_dilated`.

  Converters to other formats, such as ONNX, have an operator for a convolution.

  Example:
    >>> x, kernel = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 1, 4))
    >>> settings = dict(feature_group_count=4, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    >>> depthwise = functools.partial(
    ...   depthwise_by_shift, strides=(1, 1), padding=((1, 1), (1, 1)), **settings)
    >>> 'conv_general_dilated' in str(jax.make_jaxpr(depthwise)(x, kernel))
    False
    >>> with plain():
    ...   'conv_general_dilated' in str(jax.make_jaxpr(depthwise)(x, kernel))
    True
  """
  return _target(_Target.CONVERTER)


def portable() -> contextlib.AbstractContextManager[None]:
  """Trace programs that choose their formulation on the platform that compiles them.

  One exported program then runs well on every platform. Otherwise `jax.default_backend()` decides
  while a program is traced.

  Example:
    >>> x, kernel = jnp.ones((1, 8, 8, 32)), jnp.ones((3, 3, 32, 32))
    >>> def layer(x, kernel):
    ...   axes = ('NHWC', 'HWIO', 'NHWC')
    ...   return fastest(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes)
    >>> with portable():
    ...   program = jax.export.export(jax.jit(layer), platforms=['cpu', 'cuda'])(x, kernel)
    >>> program.platforms
    ('cpu', 'cuda')
  """
  return _target(_Target.ANY_PLATFORM)


def _formulation(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
  """Let a formulation give way to `lax.conv_general_dilated` within `plain` and under dilation.

  The formulation itself sees padding as numbers.
  """

  @functools.wraps(function)
  def convolve(x, kernel, strides, padding, **settings: Any):
    if _target.value is _Target.CONVERTER or _is_dilated(settings):
      return _by_xla(strides, padding, settings)(x, kernel)
    if isinstance(padding, str):
      padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return function(x, kernel, strides, padding, **settings)

  return convolve


def _by_xla(strides, padding, settings: Mapping[str, Any]) -> Callable[..., jax.Array]:
  """Return XLA's own convolution, (x, kernel) -> map."""
  named = {'dimension_numbers': _AXES, **settings}
  return functools.partial(
    lax.conv_general_dilated, window_strides=strides, padding=padding, **named
  )


def _is_here_on(platform: str) -> bool:
  """Return whether what is traced runs in this process, on this platform."""
  return jax.default_backend() == platform and _target.value is _Target.HERE


def _is_dilated(settings: Mapping[str, Any]) -> bool:
  dilations = (settings.get(f'{side}_dilation') or () for side in ('lhs', 'rhs'))
  return any(step != 1 for each in dilations for step in each)


@_formulation
def fastest(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  """Compute `lax.conv_general_dilated` in the formulation that is fastest on this platform.

  On CPU, in float32, that is `by_dot` for 1x1 kernels, and `winograd` for 3x3 convolutions of
  stride 1 and padding 1 with at least 32 channels. Strided 3x3 convolutions with at least 64
  channels take the gradient of their kernel from `by_dot`. These 3x3 convolutions have no
  derivative in forward mode (`jax.jvp`); within `plain` they have one.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, C // groups, M].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).
    **settings: further arguments of `lax.conv_general_dilated`, as `nn.Conv` passes them.

  Returns:
    [B, H', W', M].

  Example:
    >>> x, kernel = jnp.ones((8, 16, 16, 64)), jnp.ones((3, 3, 64, 128))
    >>> axes = ('NHWC', 'HWIO', 'NHWC')
    >>> fastest(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes).shape
    (8, 16, 16, 128)
    >>> from flax import linen as nn
    >>> layer = nn.Conv(128, (3, 3), conv_general_dilated=fastest)
  """
  convolve = functools.partial(_fastest, strides=strides, padding=padding, **settings)
  return separate(convolve)(x, kernel)


def _fastest(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  convolve = _by_xla(strides, padding, settings)
  if _target.value is _Target.ANY_PLATFORM and _winograd_fits(x, kernel, strides, padding):
    return lax.platform_dependent(x, kernel, cpu=winograd, default=convolve)
  if not _is_dense_on_cpu(x, kernel):
    return convolve(x, kernel)
  if kernel.shape[:2] == (1, 1):
    return by_dot(x, kernel, strides, padding)
  if min(strides) > 1 and kernel.shape[:2] == (3, 3):
    if min(kernel.shape[2:]) < _STRIDED_GRADIENT_CHANNELS:
      return convolve(x, kernel)
    dot = functools.partial(by_dot, strides=strides, padding=padding)
    return _with_gradient_of_kernel(x, kernel, convolve, dot)
  if not _winograd_fits(x, kernel, strides, padding):
    return convolve(x, kernel)
  tiled = min(kernel.shape[2:]) >= _WINOGRAD_GRADIENT_CHANNELS
  return _differentiable_winograd(x, kernel, winograd if tiled else convolve)


@_formulation
def fastest_stacked(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  """Compute a convolution in a form that stays fast under `vmap` over kernels.

  A stack of convolutions would become one grouped convolution, which is slow on CPU (`by_dot`).
  On TPUs it is fast, except for 1x1 kernels. Those that take `winograd`, as in `fastest`, have no
  derivative in forward mode (`jax.jvp`); within `plain` they have one.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, C, M].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', M].

  Example:
    >>> x, kernels = jnp.ones((8, 4, 4, 64)), jnp.ones((3, 1, 1, 64, 128))
    >>> stack = jax.vmap(lambda kernel: fastest_stacked(x, kernel, (1, 1), ((0, 0), (0, 0))))
    >>> stack(kernels).shape
    (3, 8, 4, 4, 128)
  """
  if _is_dense_on_cpu(x, kernel) and _winograd_fits(x, kernel, strides, padding):
    return _differentiable_winograd(x, kernel, winograd)
  if _is_here_on('tpu') and kernel.shape[:2] != (1, 1):
    return _by_xla(strides, padding, settings)(x, kernel)
  return by_dot(x, kernel, strides, padding)


def _is_dense_on_cpu(x: jax.Array, kernel: jax.Array) -> bool:
  """Return whether a convolution runs on this CPU in float32, without groups."""
  return _is_here_on('cpu') and kernel.shape[2] == x.shape[-1] and x.dtype == jnp.float32


def _winograd_fits(x: jax.Array, kernel: jax.Array, strides, padding) -> bool:
  return (
    x.dtype == jnp.float32
    and kernel.shape[:3] == (3, 3, x.shape[-1])
    and min(kernel.shape[2:]) >= _WINOGRAD_CHANNELS
    and tuple(strides) == (1, 1)
    and tuple(map(tuple, padding)) == ((1, 1), (1, 1))
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _differentiable_winograd(
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
  return _differentiable_winograd(x, kernel, kernel_gradient), (x, kernel)


def _backward(kernel_gradient, residuals, cotangent):
  x, kernel = residuals
  turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  transpose = jax.linear_transpose(functools.partial(kernel_gradient, x), kernel)
  return winograd(cotangent, turned), *transpose(cotangent)


_differentiable_winograd.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _with_gradient_of_kernel(x, kernel, convolve: Callable, kernel_gradient: Callable) -> jax.Array:
  """Compute `convolve`; the gradient of the kernel is that of the convolution `kernel_gradient`."""
  del kernel_gradient
  return convolve(x, kernel)


def _keep_operands(x, kernel, convolve, kernel_gradient):
  del kernel_gradient
  return convolve(x, kernel), (x, kernel)


def _pull(convolve, kernel_gradient, operands, cotangent):
  x, kernel = operands
  (dx,) = jax.linear_transpose(lambda x: convolve(x, kernel), x)(cotangent)
  (dkernel,) = jax.linear_transpose(functools.partial(kernel_gradient, x), kernel)(cotangent)
  return dx, dkernel


_with_gradient_of_kernel.defvjp(_keep_operands, _pull)


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


@_formulation
def by_dot(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """Compute a convolution as one product of two matrices: patches by channels, and the kernel.

  Under `vmap` over kernels a convolution becomes a grouped one, which XLA runs several times slower
  on CPU. A matrix product becomes a batched matrix product. Patches are the rows of a matrix, for
  with the axes of the map XLA computes the kernel's gradient several times slower.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, C, M].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', M].

  Example:
    >>> by_dot(jnp.ones((8, 4, 4, 64)), jnp.ones((3, 3, 64, 128)), (1, 1), ((1, 1), (1, 1))).shape
    (8, 4, 4, 128)
  """
  height, width, channels, features = kernel.shape
  down, right = strides
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  patches = jnp.concatenate(
    [
      x[:, i : i + rows : down, j : j + columns : right]
      for i in range(height)
      for j in range(width)
    ],
    axis=-1,
  )
  y = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(height * width * channels, features)
  return y.reshape(*patches.shape[:-1], features)


@_formulation
def grouped_by_dot(
  x: jax.Array, kernel: jax.Array, strides, padding, feature_group_count: int, **_
) -> jax.Array:
  """Compute a grouped 1x1 convolution as a batched matrix product.

  Args:
    x: [B, H, W, C], the map.
    kernel: [1, 1, C // groups, M].
    strides: must be 1.
    padding: must be 0.
    feature_group_count: the number of groups.

  Returns:
    [B, H, W, M], with the channels of one group next to each other.

  Raises:
    ValueError: the kernel is not 1x1, a stride is not 1, or there is padding.

  Example:
    >>> x, kernel = jnp.ones((8, 4, 4, 64)), jnp.ones((1, 1, 16, 128))
    >>> grouped_by_dot(x, kernel, (1, 1), ((0, 0), (0, 0)), feature_group_count=4).shape
    (8, 4, 4, 128)
  """
  pointwise = kernel.shape[:2] == (1, 1) and all(stride == 1 for stride in strides)
  if not pointwise or any(map(any, padding)):
    raise ValueError('grouped_by_dot needs a 1x1 kernel, stride 1 and no padding')
  groups, (size, features) = feature_group_count, kernel.shape[2:]
  x = x.reshape(*x.shape[:3], groups, size)
  y = jnp.einsum('bhwgc,cgm->bhwgm', x, kernel.reshape(size, groups, features // groups))
  return y.reshape(*y.shape[:3], features)


@_formulation
def fastest_depthwise(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  """Compute a depthwise convolution in the formulation that is fastest on this platform.

  That is XLA's own on TPUs, and `depthwise_by_shift` elsewhere.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, 1, C].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).
    **settings: further arguments of `lax.conv_general_dilated`, as `nn.Conv` passes them.

  Returns:
    [B, H', W', C].

  Raises:
    ValueError: as `depthwise_by_shift`, except on TPUs.

  Example:
    >>> x, kernel = jnp.ones((8, 16, 16, 64)), jnp.ones((3, 3, 1, 64))
    >>> settings = dict(feature_group_count=64, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    >>> fastest_depthwise(x, kernel, (2, 2), ((1, 1), (1, 1)), **settings).shape
    (8, 8, 8, 64)
  """
  convolve = _by_xla(strides, padding, settings)
  shift = functools.partial(depthwise_by_shift, strides=strides, padding=padding, **settings)
  if _target.value is _Target.ANY_PLATFORM:
    return lax.platform_dependent(x, kernel, tpu=convolve, default=shift)
  return separate(convolve)(x, kernel) if _is_here_on('tpu') else shift(x, kernel)


@_formulation
def depthwise_by_shift(x: jax.Array, kernel: jax.Array, strides, padding, **_) -> jax.Array:
  """Compute a depthwise convolution as a sum of shifted maps, one for each tap of the kernel.

  On two CPU cores it is twenty times faster forward, and four to twenty times with its gradient.

  Args:
    x: [B, H, W, C], the map.
    kernel: [h, w, 1, C].
    strides: the steps (down, right).
    padding: ((top, bottom), (left, right)).

  Returns:
    [B, H', W', C].

  Raises:
    ValueError: the kernel is not depthwise on C channels.

  Example:
    >>> x, kernel = jnp.ones((8, 16, 16, 64)), jnp.ones((3, 3, 1, 64))
    >>> settings = dict(feature_group_count=64, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    >>> depthwise_by_shift(x, kernel, (2, 2), ((1, 1), (1, 1)), **settings).shape
    (8, 8, 8, 64)
  """
  if kernel.shape[2] != 1 or kernel.shape[3] != x.shape[-1]:
    raise ValueError(f'a kernel {list(kernel.shape)} is not depthwise on {x.shape[-1]} channels')
  return depthwise_of_padded(jnp.pad(x, ((0, 0), *padding, (0, 0))), kernel, tuple(strides))


@functools.partial(jax.jit, static_argnames='strides')
def depthwise_of_padded(x: jax.Array, kernel: jax.Array, strides: tuple[int, int]) -> jax.Array:
  """Compute `depthwise_by_shift` of a map that is padded already."""
  (height, width), (down, right) = kernel.shape[:2], strides
  rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
  # In bfloat16 each of the many terms would be rounded.
  kernel = to_float32(kernel)
  total = sum(
    x[:, i : i + rows : down, j : j + columns : right] * kernel[i, j, 0]
    for i in range(height)
    for j in range(width)
  )
  return jnp.asarray(total).astype(x.dtype)
