"""Attention transfer: where in each map the activations are.

Source: Zagoruyko and Komodakis 2017, arXiv:1612.03928, with sums of squares as maps. The paper adds
up Euclidean distances of the attention maps; SimKD, RepDistiller and mdistiller average their
squared differences, and so do we.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness, paired
from pidkd_jax.nn import losses
from pidkd_jax.nn.layers import l2_normalize
from pidkd_jax.nn.resize import match_resolution


class AT(Harness):
  """Squared error between normalised attention maps, summed over the pairs of stages.

  Attributes:
    weight: 1000 in SimKD, RepDistiller and mdistiller.
  """

  weight: float = 1000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    pairs = (match_resolution(*pair) for pair in paired(features, teacher.features))
    errors = [losses.mean_squared_error(attention(s), attention(t)) for s, t in pairs]
    return {'attention': self.weight * sum(errors)}


def attention(x: jax.Array) -> jax.Array:
  """Mean square over the channels as a vector of length 1, [B, H, W, C] -> [B, H * W]."""
  return l2_normalize(jnp.mean(jnp.square(x), axis=-1).reshape(len(x), -1))


METHODS = {'at': AT}
