"""Layers that networks and methods share."""

import functools
from collections.abc import Callable, Sequence
from typing import Literal, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from pidkd_jax.nn import convolution as formulations
from pidkd_jax.nn import initializers
from pidkd_jax.nn.batch_norm import EPSILON, BatchNorm
from pidkd_jax.nn.lazy_param import LazyParam

# The collection that holds a network's inference form (`models.norm_fusion`). Exported
# weights carry the name, so it stays although norms are now said to be fused.
FUSED_NORMS = 'folded'


class Conv(LazyParam, nn.Conv):
  """Flax's convolution, which looks its parameters up without their initialisers."""


class Dense(LazyParam, nn.Dense):
  """Flax's linear layer, which looks its parameters up without their initialisers."""


def linear(
  features: int,
  fan_in: int,
  *,
  dense: Callable[..., nn.Module] = Dense,
  kernel_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  name: str | None = None,
) -> nn.Module:
  """Make a linear layer, [..., fan_in] -> [..., features].

  Args:
    features: the number of outputs.
    fan_in: the number of inputs, which sets the range of the initial weights and biases.
    dense: the class to make, `Dense` or a transformed one.
    kernel_init: the weights' initialiser; None for PyTorch's default.
    bias_init: the biases' initialiser; None for PyTorch's default.
    name: the module's name.

  Example:
    >>> layer = linear(10, fan_in=64)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((8, 64)))
    >>> layer.apply(variables, jnp.ones((8, 64))).shape
    (8, 10)
  """
  default = initializers.uniform(fan_in**-0.5)
  return dense(
    features, kernel_init=kernel_init or default, bias_init=bias_init or default, name=name
  )


class Classifier(nn.Module):
  """Compute logits by one linear layer, [..., C] -> [..., K].

  Attributes:
    num_classes: K.
    kernel_init: the weights' initialiser; None for PyTorch's default.
    bias_init: the biases' initialiser; None for PyTorch's default.

  Example:
    >>> logits, variables = Classifier(10).init_with_output(jax.random.key(0), jnp.ones((8, 64)))
    >>> logits.shape
    (8, 10)
  """

  num_classes: int
  kernel_init: initializers.Initializer | None = None
  bias_init: initializers.Initializer | None = None

  @nn.compact
  def __call__(self, pooled: jax.Array) -> jax.Array:
    layer = linear(
      self.num_classes,
      pooled.shape[-1],
      kernel_init=self.kernel_init,
      bias_init=self.bias_init,
      name='linear',
    )
    return layer(pooled)


def promote_to_input(x, *parameters, **_):
  """Convert a layer's parameters to the type of its input, in which the layer computes."""
  return [x, *(p if p is None else p.astype(x.dtype) for p in parameters)]


def conv(
  features: int,
  size: int,
  stride: int = 1,
  *,
  groups: int = 1,
  bias: bool = False,
  padding: int | Sequence[tuple[int, int]] | None = None,
  convolution: Callable[..., jax.Array] = formulations.fastest,
  kernel_init: initializers.Initializer = initializers.he_normal_fan_out,
  bias_init: initializers.Initializer = nn.initializers.zeros,
  name: str | None = None,
) -> Conv:
  """Make a convolution, padded by size // 2 on each side (PyTorch's alignment), without bias.

  'SAME' would pad a strided convolution of an even map by (0, 1) and not (1, 1).

  Args:
    features: output channels.
    size: side of the square kernel.
    stride: in both directions.
    groups: the number of groups of channels.
    bias: whether the layer has a bias.
    padding: on each side, or (before, after) for each direction; None for size // 2.
    convolution: a formulation of `pidkd_jax.nn.convolution`.
    kernel_init: the kernel's initialiser.
    bias_init: the bias's initialiser.
    name: the module's name.

  Example:
    >>> layer, x = conv(64, 3, stride=2), jnp.ones((8, 16, 16, 32))
    >>> layer.apply(layer.init(jax.random.key(0), x), x).shape
    (8, 8, 8, 64)
  """
  return Conv(
    features,
    (size, size),
    strides=stride,
    padding=size // 2 if padding is None else padding,
    feature_group_count=groups,
    use_bias=bias,
    kernel_init=kernel_init,
    bias_init=bias_init,
    conv_general_dilated=convolution,
    promote_dtype=promote_to_input,
    name=name,
  )


class ConvNorm(nn.Module):
  """Apply a convolution and BatchNorm, [B, H, W, C] -> [B, H', W', M].

  In inference the two are one affine map. Where the variables hold it (made by
  `models.norm_fusion.fuse_norms`), the layer computes that map instead.

  Attributes:
    features: M, the output channels.
    size: side of the square kernel.
    stride: in both directions.
    groups: the number of groups of channels.
    bias: whether the convolution has a bias.
    padding: on each side; None for size // 2; 'SAME' as in TensorFlow, where the odd one of an
      uneven number of rows lies below.
    epsilon: of the norm.
    convolution: a formulation of `pidkd_jax.nn.convolution`.
    kernel_init: the kernel's initialiser.
    bias_init: makes the bias's initialiser from the fan-in; None for zeros.

  Example:
    >>> layer, x = ConvNorm(64, 3, stride=2), jnp.ones((8, 16, 16, 32))
    >>> variables = layer.init(jax.random.key(0), x, train=False)
    >>> layer.apply(variables, x, train=False).shape
    (8, 8, 8, 64)
  """

  features: int
  size: int
  stride: int = 1
  groups: int = 1
  bias: bool = False
  padding: int | Literal['SAME'] | None = None
  epsilon: float = EPSILON
  convolution: Callable[..., jax.Array] = formulations.fastest
  kernel_init: initializers.Initializer = initializers.he_normal_fan_out
  bias_init: Callable[[int], initializers.Initializer] | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    padding = self.padding
    if isinstance(padding, str):
      sides, steps = (self.size,) * 2, (self.stride,) * 2
      padding = lax.padtype_to_pads(x.shape[1:3], sides, steps, padding)
    make = functools.partial(
      conv,
      self.features,
      self.size,
      self.stride,
      groups=self.groups,
      padding=padding,
      convolution=self.convolution,
      kernel_init=self.kernel_init,
    )
    if not train and self.has_variable(FUSED_NORMS, 'bias'):
      layer, variables = make(bias=True).clone(parent=None), {'params': self.variables[FUSED_NORMS]}
      return cast(jax.Array, layer.apply(variables, x))
    bias_init = nn.initializers.zeros
    if self.bias_init:
      bias_init = self.bias_init(self.size**2 * x.shape[-1] // self.groups)
    y = make(bias=self.bias, bias_init=bias_init, name='conv')(x)
    return BatchNorm(epsilon=self.epsilon, name='norm')(y, train)


def l2_normalize(x: jax.Array) -> jax.Array:
  """Divide vectors [..., C] by their Euclidean length along the last axis.

  Zero stays zero, and gradients are finite everywhere.

  Example:
    >>> unit = l2_normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    >>> jnp.linalg.norm(unit, axis=-1).tolist()
    [1.0, 0.0]
  """
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def shuffle(x: jax.Array, groups: int) -> jax.Array:
  """Move channel j of group i to channel i of group j, [B, H, W, C] -> [B, H, W, C].

  Source: ShuffleNet, Zhang et al. 2018, arXiv:1707.01083, Sec. 3.1.

  Example:
    >>> shuffle(jnp.arange(6).reshape(1, 1, 1, 6), groups=2).ravel().tolist()
    [0, 3, 1, 4, 2, 5]
  """
  return x.reshape(*x.shape[:3], groups, -1).swapaxes(3, 4).reshape(x.shape)
