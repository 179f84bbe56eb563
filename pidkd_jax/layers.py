"""Building blocks that networks and methods share."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.nn.initializers import Initializer

from pidkd_jax import convolution as formulations
from pidkd_jax import initializers
from pidkd_jax.precision import exact

# The collections that hold a network's inference form (`folding`) and that of its stack of
# projectors (`joining`), and the norms' epsilon, which goes into them.
FOLDED = 'folded'
JOINED = 'joined'
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
    convolution: a formulation of pidkd_jax.convolution.
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
    if not train and self.has_variable(FOLDED, 'bias'):
      return make(bias=True).clone(parent=None).apply({'params': self.variables[FOLDED]}, x)
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


class Projector(nn.Module):
  """1x1, 3x3 and 1x1 convolution, each with BatchNorm and ReLU, onto the teacher's target map.

  Source: SimKD, arXiv:2203.14001, Sec. 3.2: parameters C_s*m + 9*m^2 + m*C_t + 4*m + 2*C_t.

  Attributes:
    features: C_t, the target's channels.
    hidden: m, the width between.
    rectified: whether the last ReLU stands, as the target map is behind one.
  """

  features: int
  hidden: int
  rectified: bool

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """[B, H, W, C_s] -> [B, H, W, C_t]."""
    layer = functools.partial(ConvNorm, convolution=formulations.fastest_stacked)
    x = nn.relu(layer(self.hidden, 1, name='reduce')(x, train))
    x = nn.relu(layer(self.hidden, 3, name='transform')(x, train))
    x = layer(self.features, 1, name='expand')(x, train)
    return nn.relu(x) if self.rectified else x


class Mean(nn.Module):
  """Integration by the mean: [q, ...] -> float32 [...]."""

  @nn.compact
  def __call__(self, outputs: jax.Array) -> jax.Array:
    return jnp.mean(exact(outputs), axis=0)


class Convex(nn.Module):
  """Integration by learned convex weights, a softmax that begins equal: as `Mean`."""

  @nn.compact
  def __call__(self, outputs: jax.Array) -> jax.Array:
    if len(outputs) == 1:  # One weight is always 1: nothing to learn.
      return exact(outputs[0])
    logits = self.param('logits', nn.initializers.zeros, (len(outputs),))
    return jnp.tensordot(nn.softmax(logits), exact(outputs), axes=1)


INTEGRATIONS = {'mean': Mean, 'learned': Convex}


class ProjectorStack(nn.Module):
  """q projectors as one vmapped module, parameters on a leading q axis, and their integration.

  Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3, abstract.

  Attributes:
    num_projectors: q.
    hidden: m, the width within each.
    integration: a name in INTEGRATIONS.
    features: C_t.
    rectified: whether the target map is behind a ReLU.
  """

  num_projectors: int
  hidden: int
  integration: str
  features: int
  rectified: bool

  def setup(self):
    stack = nn.vmap(
      Projector,
      in_axes=(None, None),
      variable_axes={'params': 0, 'batch_stats': 0, FOLDED: 0},
      split_rngs={'params': True},
      axis_size=self.num_projectors,
    )
    self.projectors = stack(self.features, self.hidden, self.rectified)
    self.integrate = INTEGRATIONS[self.integration]()

  def outputs(self, x: jax.Array, train: bool) -> jax.Array:
    """Each projector's map, [B, H, W, C_s] -> [q, B, H, W, C_t]."""
    return self.projectors(x, train)

  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """The integrated map, [B, H, W, C_s] -> float32 [B, H, W, C_t]."""
    if not train and self.has_variable(JOINED, 'reduce'):
      return self._joined(x)
    return self.integrate(self.outputs(x, train))

  def _joined(self, x: jax.Array) -> jax.Array:
    """The same on what `joining.join` makes of the stack."""

    def convolve(x, name):
      kernel, bias = (self.variables[JOINED][name][leaf] for leaf in ('kernel', 'bias'))
      padding = ((len(kernel) // 2,) * 2,) * 2
      axes = ('NHWC', 'HWIO', 'NHWC')
      return formulations.fastest(x, kernel, (1, 1), padding, dimension_numbers=axes) + bias

    each = range(self.num_projectors)
    maps = jnp.split(nn.relu(convolve(x, 'reduce')), self.num_projectors, axis=-1)
    maps = [nn.relu(convolve(maps[i], f'transform_{i}')) for i in each]
    if self.rectified:
      return exact(sum(nn.relu(convolve(maps[i], f'expand_{i}')) for i in each))
    return exact(convolve(jnp.concatenate(maps, axis=-1), 'expand'))


@functools.cache
def _area_weights(size_in: int, size_out: int) -> np.ndarray:
  """[out, in] weights by which output cell i averages the input cells that it overlaps."""
  edges_in = np.arange(size_in + 1) / size_in
  edges_out = np.arange(size_out + 1) / size_out
  low = np.maximum(edges_out[:-1, None], edges_in[None, :-1])
  high = np.minimum(edges_out[1:, None], edges_in[None, 1:])
  return (np.clip(high - low, 0, None) * size_out).astype(np.float32)


def average_to(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Averages a map down to `size` by area, so that its spatial mean is kept exactly.

  Where the sizes divide, this is average pooling; where they do not, a cell is shared
  between its neighbours by the area of the overlap (PyTorch's adaptive pooling counts
  cells twice and moves the mean).

  Args:
    x: [B, H, W, C].
    size: (h, w), in each direction at most that of `x`; a direction that is smaller already
      is left alone.

  Returns:
    [B, min(H, h), min(W, w), C].
  """
  for axis, out in zip((1, 2), size, strict=True):
    if x.shape[axis] > out:
      weights = jnp.asarray(_area_weights(x.shape[axis], out), x.dtype)
      x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
  return x


def match_resolution(student: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Averages the larger of two maps to the smaller's size (`average_to`); equal sizes pass."""
  return (
    average_to(student, target.shape[1:3]),
    average_to(target, student.shape[1:3]),
  )
