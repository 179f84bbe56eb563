"""Attention transfer: the student's maps have their activations where the teacher's have theirs.

Loss: weight * sum_i mean (A(F_s,i) - A(F_t,i))^2 over the pairs i of stages, where A is the mean
square over the channels, as a vector of length 1; beside it, `Harness` has CE and KD.

Source: Zagoruyko and Komodakis 2017, arXiv:1612.03928, with sums of squares as attention maps.

Departure: the paper sums Euclidean distances of attention maps. SimKD, RepDistiller and mdistiller
average squared differences, as does this file.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness, paired
from pidkd_jax.nn import losses
from pidkd_jax.nn.layers import l2_normalize
from pidkd_jax.nn.resize import match_resolution


class AT(Harness):
  """Attention transfer over all pairs of stages.

  Attributes:
    weight: of the attention term; 1000 in SimKD, RepDistiller and mdistiller.
  """

  weight: float = 1000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    pairs = (match_resolution(*pair) for pair in paired(features, teacher.features))
    errors = [losses.mean_squared_error(attention(s), attention(t)) for s, t in pairs]
    return {'attention': self.weight * sum(errors)}


def attention(x: jax.Array) -> jax.Array:
  """Return the mean square over the channels, scaled to length 1: [B, H, W, C] -> [B, H * W]."""
  return l2_normalize(jnp.mean(jnp.square(x), axis=-1).reshape(len(x), -1))


METHODS = {'at': AT}
