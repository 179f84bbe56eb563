"""Building blocks that networks and methods share."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn.initializers import Initializer

from pidkd_jax.nn import convolution as formulations
from pidkd_jax.nn import initializers

# The collection that holds a network's inference form (`models.norm_fusion`).
FUSED_NORMS = 'fused_norms'
# PyTorch's epsilon of BatchNorm.
EPSILON = 1e-5


def linear(
  features: int, fan_in: int, *, dense: Callable[..., nn.Module] = nn.Dense, name: str | None = None
) -> nn.Module:
  """Linear layer, [..., fan_in] -> [..., features], initialised as PyTorch's.

  Args:
    features: outputs.
    fan_in: inputs, which decide the size of the initial bias too.
    dense: what makes it, for a transformed nn.Dense.
    name: of the module.
  """

  init = initializers.uniform(fan_in**-0.5)
  return dense(features, kernel_init=init, bias_init=init, name=name)


class Classifier(nn.Module):
  """Linear classifier, [..., C] -> [..., K]."""

  num_classes: int

  @nn.compact
  def __call__(self, pooled: jax.Array) -> jax.Array:
    return linear(self.num_classes, pooled.shape[-1], name='linear')(pooled)


class BatchNorm(nn.BatchNorm):
  """BatchNorm with the published momentum (PyTorch's 0.1) and epsilon.

  It normalises in float32, and gives the type that it is given.
  """

  momentum: float = 0.9
  epsilon: float = EPSILON

  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[..., C] -> [..., C], by the batch's statistics or by the running ones."""
    return super().__call__(x, use_running_average=not train).astype(x.dtype)


def _as_given(x: jax.Array, *parameters: jax.Array | None, **_) -> list[jax.Array | None]:
  """A layer computes in the type of what it is given, whatever its parameters are kept in."""
  return [x, *(p if p is None else p.astype(x.dtype) for p in parameters)]


def conv(
  features: int,
  size: int,
  stride: int = 1,
  *,
  groups: int = 1,
  bias: bool = False,
  padding: int | None = None,
  convolution: Callable[..., jax.Array] = formulations.fastest,
  kernel_init: Initializer = initializers.he_normal_fan_out,
  name: str | None = None,
) -> nn.Conv:
  """Convolution, padded by size // 2 on each side (PyTorch's alignment) and without bias.

  'SAME' would pad a strided convolution on an even map by (0, 1) and not (1, 1).

  Args:
    features: output channels.
    size: side of the square kernel.
    stride: in both directions.
    groups: of the channels.
    bias: whether it has one.
    padding: on each side; size // 2 if None.
    convolution: a formulation of pidkd_jax.nn.convolution.
    kernel_init: its initialiser.
    name: of the module.
  """
  return nn.Conv(
    features,
    (size, size),
    strides=stride,
    padding=size // 2 if padding is None else padding,
    feature_group_count=groups,
    use_bias=bias,
    kernel_init=kernel_init,
    conv_general_dilated=convolution,
    promote_dtype=_as_given,
    name=name,
  )


class ConvNorm(nn.Module):
  """Convolution and BatchNorm; in inference the two are one affine map.

  Where the variables have what `folding.fold` makes of the two, inference runs on that.

  Attributes: as `conv` has them.
  """

  features: int
  size: int
  stride: int = 1
  groups: int = 1
  bias: bool = False
  padding: int | None = None
  convolution: Callable[..., jax.Array] = formulations.fastest
  kernel_init: Initializer = initializers.he_normal_fan_out

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    make = functools.partial(
      conv,
      self.features,
      self.size,
      self.stride,
      groups=self.groups,
      padding=self.padding,
      convolution=self.convolution,
      kernel_init=self.kernel_init,
    )
    if not train and self.has_variable(FUSED_NORMS, 'bias'):
      return make(bias=True).clone(parent=None).apply({'params': self.variables[FUSED_NORMS]}, x)
    return BatchNorm(name='norm')(make(bias=self.bias, name='conv')(x), train)


def l2_normalize(x: jax.Array) -> jax.Array:
  """Vectors over their Euclidean length, along the last axis; [..., C] -> same.

  Zero stays zero, and gradients are finite everywhere.
  """
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def shuffle(x: jax.Array, groups: int) -> jax.Array:
  """Channel shuffle: channel j of group i becomes channel i of group j, [B, H, W, C] -> same.

  Source: ShuffleNet, Zhang et al. 2018, arXiv:1707.01083, Sec. 3.1.
  """
  return x.reshape(*x.shape[:3], groups, -1).swapaxes(3, 4).reshape(x.shape)
