"""The formulation that is fastest on the platform at hand."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from pidkd_jax.nn.convolution import target
from pidkd_jax.nn.convolution.formulation import by_xla, formulation
from pidkd_jax.nn.convolution.products import by_dot
from pidkd_jax.nn.convolution.separation import separated
from pidkd_jax.nn.convolution.shifts import depthwise_by_shift
from pidkd_jax.nn.convolution.tiles import differentiable_winograd, winograd

# Below this many channels, Winograd's sums cost as much as the products that they save.
_WINOGRAD_CHANNELS = 32
# The same for the kernel's gradient, which XLA's own convolution computes well.
_WINOGRAD_GRADIENT_CHANNELS = 64
# From this many channels on, a product over patches computes the gradient of a strided kernel
# faster than XLA's convolution, whose kernel would be as large as the map.
_STRIDED_GRADIENT_CHANNELS = 64


@formulation
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
  return separated(convolve)(x, kernel)


def _fastest(x: jax.Array, kernel: jax.Array, strides, padding, **settings) -> jax.Array:
  convolve = by_xla(strides, padding, settings)
  if target.is_any_platform() and _winograd_fits(x, kernel, strides, padding):
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
  return differentiable_winograd(x, kernel, winograd if tiled else convolve)


@formulation
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
    return differentiable_winograd(x, kernel, winograd)
  if target.is_here_on('tpu') and kernel.shape[:2] != (1, 1):
    return by_xla(strides, padding, settings)(x, kernel)
  return by_dot(x, kernel, strides, padding)


@formulation
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
  convolve = by_xla(strides, padding, settings)
  shift = functools.partial(depthwise_by_shift, strides=strides, padding=padding, **settings)
  if target.is_any_platform():
    return lax.platform_dependent(x, kernel, tpu=convolve, default=shift)
  return separated(convolve)(x, kernel) if target.is_here_on('tpu') else shift(x, kernel)


def _is_dense_on_cpu(x: jax.Array, kernel: jax.Array) -> bool:
  """Return whether a convolution runs on this CPU in float32, without groups."""
  return target.is_here_on('cpu') and kernel.shape[2] == x.shape[-1] and x.dtype == jnp.float32


def _winograd_fits(x: jax.Array, kernel: jax.Array, strides, padding) -> bool:
  return (
    x.dtype == jnp.float32
    and kernel.shape[:3] == (3, 3, x.shape[-1])
    and min(kernel.shape[2:]) >= _WINOGRAD_CHANNELS
    and tuple(strides) == (1, 1)
    and tuple(map(tuple, padding)) == ((1, 1), (1, 1))
  )


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
