"""The paper's idea: q projectors of one map, integrated into one for the teacher's classifier.

Source: Zuo et al. 2024, doi:10.1007/s40747-024-01394-3, abstract. The shape of one projector is
SimKD's, arXiv:2203.14001, Sec. 3.2.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.nn import convolution
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import FUSED_NORMS, ConvNorm
from pidkd_jax.nn.precision import to_float32

# The collection that holds a stack's inference form (`models.projector_fusion`). Files carry the
# name, so it stays although projectors are now said to be fused.
FUSED_PROJECTORS = 'joined'


class Projector(nn.Module):
  """Project a student's map onto a teacher's target map.

  Three convolutions (1x1, 3x3, 1x1), each with BatchNorm and ReLU. With C_s input channels it has
  `C_s*m + 9*m^2 + m*C_t + 4*m + 2*C_t` parameters. Kernels start as in SimKD, by PyTorch's rule.

  Attributes:
    features: C_t, the channels of the target map.
    hidden: m, the channels between the convolutions.
    rectified: whether the last ReLU stays; it does where the target map is behind a ReLU.

  Example:
    >>> projector, maps = Projector(features=128, hidden=64), jnp.ones((8, 4, 4, 64))
    >>> variables = jax.jit(projector.init)(jax.random.key(0), maps)
    >>> projector.apply(variables, maps).shape
    (8, 4, 4, 128)
  """

  features: int
  hidden: int
  rectified: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """[B, H, W, C_s] -> [B, H, W, C_t]."""
    layer = functools.partial(
      ConvNorm, convolution=convolution.fastest_stacked, kernel_init=pytorch_default
    )
    x = nn.relu(layer(self.hidden, 1, name='reduce')(x, train))
    x = nn.relu(layer(self.hidden, 3, name='transform')(x, train))
    x = layer(self.features, 1, name='expand')(x, train)
    return nn.relu(x) if self.rectified else x


class Mean(nn.Module):
  """Integrate by the mean: [q, ...] -> float32 [...]."""

  @nn.compact
  def __call__(self, outputs: jax.Array) -> jax.Array:
    return jnp.mean(to_float32(outputs), axis=0)


class Convex(nn.Module):
  """Integrate by learned convex weights: [q, ...] -> float32 [...].

  The weights are a softmax of q logits that start at zero, so training starts from the mean.
  """

  @nn.compact
  def __call__(self, outputs: jax.Array) -> jax.Array:
    if len(outputs) == 1:  # A single weight is always 1.
      return to_float32(outputs[0])
    logits = self.param('logits', nn.initializers.zeros, (len(outputs),))
    return jnp.tensordot(nn.softmax(logits), to_float32(outputs), axes=1)


INTEGRATIONS = {'mean': Mean, 'learned': Convex}


class ProjectorStack(nn.Module):
  """Run q projectors on one map and integrate their outputs.

  The projectors are one vmapped module: every parameter has a leading axis of length q. The first
  kernel is [q, 1, 1, C_s, m], at params/projectors/reduce/conv/kernel.

  Attributes:
    features: C_t, the channels of the target map.
    num_projectors: q.
    hidden: m, the channels within each projector; None for C_t // 2, SimKD's most accurate.
    integration: a name in `INTEGRATIONS`: 'mean', or 'learned' convex weights.
    rectified: whether the target map is behind a ReLU.

  Example:
    >>> stack = ProjectorStack(features=128)
    >>> variables = jax.jit(stack.init)(jax.random.key(0), jnp.ones((8, 4, 4, 64)))
    >>> stack.apply(variables, jnp.ones((8, 4, 4, 64))).shape
    (8, 4, 4, 128)
  """

  features: int
  num_projectors: int = 3
  hidden: int | None = None
  integration: str = 'mean'
  rectified: bool = True

  def setup(self):
    stack = nn.vmap(
      Projector,
      in_axes=(None, None),  # pyright: ignore[reportArgumentType]  Flax annotates it as int.
      variable_axes={'params': 0, 'batch_stats': 0, FUSED_NORMS: 0},
      split_rngs={'params': True},
      axis_size=self.num_projectors,
    )
    hidden = self.hidden or self.features // 2
    self.projectors = stack(self.features, hidden, self.rectified)
    self.integrate = INTEGRATIONS[self.integration]()

  def outputs(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Return each projector's map, [B, H, W, C_s] -> [q, B, H, W, C_t]."""
    return self.projectors(x, train)

  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Return the integrated map, [B, H, W, C_s] -> float32 [B, H, W, C_t]."""
    if not train and self.has_variable(FUSED_PROJECTORS, 'reduce'):
      return self._fused(x)
    return self.integrate(self.outputs(x, train))

  def _fused(self, x: jax.Array) -> jax.Array:
    """Compute the integrated map from the variables that `projector_fusion` made."""

    def convolve(x, name):
      kernel, bias = (self.variables[FUSED_PROJECTORS][name][leaf] for leaf in ('kernel', 'bias'))
      padding = ((len(kernel) // 2,) * 2,) * 2
      axes = ('NHWC', 'HWIO', 'NHWC')
      return convolution.fastest(x, kernel, (1, 1), padding, dimension_numbers=axes) + bias

    each = range(self.num_projectors)
    maps = jnp.split(nn.relu(convolve(x, 'reduce')), self.num_projectors, axis=-1)
    maps = [nn.relu(convolve(maps[i], f'transform_{i}')) for i in each]
    if self.rectified:
      total = sum(nn.relu(convolve(maps[i], f'expand_{i}')) for i in each)
      return to_float32(jnp.asarray(total))
    return to_float32(convolve(jnp.concatenate(maps, axis=-1), 'expand'))
