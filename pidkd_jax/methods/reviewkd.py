"""Knowledge review: each teacher's stage teaches all later stages of the student too.

Source: Chen et al. 2021, arXiv:2104.09044, and authors' code, whose recipe has batches of 128,
Nesterov momentum and twice the learning rate; mdistiller has the one that all methods share here.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import at_least_one
from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.initializers import pytorch_default, uniform_fan_in
from pidkd_jax.nn.layers import ConvNorm, conv
from pidkd_jax.nn.resize import average_to

# Fan-in uniform of variance 1 / fan_in, as authors' code initialises what follows the fusion.
_init = uniform_fan_in(1.0)


class ReviewKD(Harness):
  """Student's maps fused from the last to the first, each compared with the teacher's in order.

  The pooled features come after the last pair of stages, as authors' code has them; teacher's maps
  are those before their activation, student's those after it. (Of a student whose stages are raw
  sums, as WRN's, authors take the sums; ours is `Features.maps` in every method.)

  Attributes:
    weight: 5 for most pairs in authors' scripts; 8 for resnet32x4 -> ShuffleV2, 1 for
      resnet110 -> resnet32, 0.6 for resnet56 -> resnet20.
    warmup: share of the training in which the weight rises linearly to its full size; 20 of 240
      epochs likewise.
    width: most channels of a fused map; 512 likewise.
    divergence_weight: 0 likewise.
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
    target = teacher.features
    pairs = [
      *zip(features.maps, target.preactivations[1:] or target.preactivations, strict=False),
      (features.pooled[:, None, None], target.pooled[:, None, None]),
    ]
    total, fused = 0.0, None
    for level, (x, wanted) in reversed(list(enumerate(pairs, start=1))):
      x, fused = Fusion(width, wanted.shape[1:], name=f'level{level}')(x, fused)
      total += hierarchical(x, wanted)
    return {'review': losses.warm_up(progress, self.warmup) * self.weight * total}


class Fusion(nn.Module):
  """Attention-based fusion of a student's map with what the later ones made.

  Attributes:
    width: channels of the fused map.
    target: (H, W, C) of the teacher's map.
  """

  width: int
  target: tuple[int, int, int]

  @nn.compact
  def __call__(self, x: jax.Array, later: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """A map to compare [B, H, W, C], and the fused map [B, H, W, width] for the stage before.

    Args:
      x: [B, h, w, c], the student's map.
      later: [B, H', W', width], the fused map of the stage after; None for the last.
    """
    x = ConvNorm(self.width, 1, kernel_init=_init, name='reduce')(x, train=True)
    if later is not None:
      later = resize(later, x.shape[1:3])
      gates = conv(2, 1, bias=True, kernel_init=pytorch_default, name='gates')
      gates = nn.sigmoid(gates(jnp.concatenate([x, later], axis=-1)))
      x = x * gates[..., :1] + later * gates[..., 1:]
    x = resize(x, self.target[:2])
    return ConvNorm(self.target[-1], 3, kernel_init=_init, name='expand')(x, train=True), x


def resize(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """A map at another size: a larger one averaged, a smaller one repeated.

  Authors' code takes single cells of a larger one.
  """
  x = average_to(x, size)
  return jax.image.resize(x, (len(x), *size, x.shape[-1]), 'nearest')


def hierarchical(x: jax.Array, target: jax.Array) -> jax.Array:
  """Squared errors of two maps [B, H, W, C] and of their averages to 4, 2 and 1 cells a side: [B].

  Each has half the weight of the one before; the weights add up to 1.
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
