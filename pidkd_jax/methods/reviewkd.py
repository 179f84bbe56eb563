"""Knowledge review: each stage of the teacher also teaches all later stages of the student.

The student's maps are fused from the last to the first. Each fused map is compared with the
teacher's at the same level.

Loss: w * weight * sum over levels of HCL(fused_i, F_t,i before its activation), where w rises to 1
within `warmup` and HCL is `hierarchical`; beside it, `Harness` has CE.

Source: Chen et al. 2021, arXiv:2104.09044, and the authors' code.

Departures from the authors' code: a map larger than the teacher's is averaged, not sampled, and one
that is smaller by a fraction is sampled at the centres of the cells, not at their corners. Of a
student whose stages are raw sums (WRN), the last map is the one in `Features.maps`, as in every
method; the authors take the sum. Their weight rises by epochs and is 0 in the first, mdistiller's
rises from 1/20; here it rises by steps. Their recipe has batches of 128, Nesterov momentum and
twice the learning rate; all methods here share mdistiller's recipe.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import at_least_one
from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default, pytorch_default_bias, uniform_fan_in
from pidkd_jax.nn.layers import ConvNorm, conv
from pidkd_jax.nn.resize import average_to

# Uniform of variance 1 / fan_in, as in the authors' code.
_init = uniform_fan_in(1.0)


class ReviewKD(Harness):
  """Knowledge review.

  The pooled features are the level after the last pair of stages, as in the authors' code. The
  teacher's maps are those before their activation, the student's those after it. The defaults are
  those of the authors' scripts.

  Attributes:
    weight: of the sum over levels; 5 for most pairs, 8 for resnet32x4 -> ShuffleV2, 1 for
      resnet110 -> resnet32, 0.6 for resnet56 -> resnet20.
    warmup: the share of the training in which the weight rises linearly from 0; 20 of 240 epochs.
    width: the largest number of channels of a fused map.
    divergence_weight: of the KL divergence.
  """

  weight: float = 5.0
  warmup: float = 20 / 240
  width: int = 512
  divergence_weight: float = 0.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch
    at_least_one(width=self.width)
    width = min(self.width, features.pooled.shape[-1])
    preactivations = teacher.features.preactivations
    pairs = [
      *zip(features.maps, preactivations[1:] or preactivations, strict=False),
      (features.pooled[:, None, None], teacher.features.pooled[:, None, None]),
    ]
    total, fused = 0.0, None
    for level, (x, target) in reversed(list(enumerate(pairs, start=1))):
      x, fused = Fusion(width, target.shape[1:], name=f'level{level}')(x, fused)
      total += hierarchical(x, target)
    return {'review': losses.warm_up(progress, self.warmup) * self.weight * total}


class Fusion(nn.Module):
  """Attention-based fusion of a student's map with the fused map of the level after it.

  Attributes:
    width: channels of the fused map.
    target: (H, W, C), the size of the teacher's map.
  """

  width: int
  target: tuple[int, ...]

  @nn.compact
  def __call__(self, x: jax.Array, later: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Fuse two maps.

    Args:
      x: [B, h, w, c], the student's map.
      later: [B, H', W', width], the fused map of the level after; None for the last level.

    Returns:
      The map [B, H, W, C] to compare, and the fused map [B, H, W, width] for the level before.
    """
    x = ConvNorm(self.width, 1, kernel_init=_init, name='reduce')(x, train=True)
    if later is not None:
      later = resize(later, x.shape[1:3])
      both = jnp.concatenate([x, later], axis=-1)
      bias_init = pytorch_default_bias(both.shape[-1])
      gates = conv(2, 1, bias=True, kernel_init=pytorch_default, bias_init=bias_init, name='gates')
      gates = nn.sigmoid(gates(both))
      x = x * gates[..., :1] + later * gates[..., 1:]
    x = resize(x, self.target[:2])
    return ConvNorm(self.target[-1], 3, kernel_init=_init, name='expand')(x, train=True), x


def resize(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Average a larger map [B, H, W, C] to `size`, and repeat the cells of a smaller one."""
  x = average_to(x, size)
  return jax.image.resize(x, (len(x), *size, x.shape[-1]), 'nearest')


def hierarchical(x: jax.Array, target: jax.Array) -> jax.Array:
  """Compute the squared error of two maps, and of their averages to 4, 2 and 1 cells a side.

  Each error has half the weight of the one before, and the weights sum to 1.

  Args:
    x: [B, H, W, C].
    target: [B, H, W, C].

  Returns:
    float32 [B].
  """
  error, share, shares = losses.mean_squared_error(x, target), 1.0, 1.0
  for side in (4, 2, 1):
    if side < x.shape[1]:
      share /= 2
      averaged = (average_to(each, (side, side)) for each in (x, target))
      error += share * losses.mean_squared_error(*averaged)
      shares += share
  return error / shares


METHODS = {'reviewkd': ReviewKD}
