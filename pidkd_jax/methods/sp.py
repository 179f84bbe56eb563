"""Similarity-preserving distillation: which images of a batch look alike.

Source: Tung and Mori 2019, arXiv:1907.09682, at the last stage alone as in SimKD,
RepDistiller and mdistiller.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class SP(Harness):
  """Squared difference of the batch's similarity matrices, over the square of its size.

  The maps need no common size, as only images are compared.

  Attributes:
    weight: 3000 in all three.
  """

  weight: float = 3000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    difference = similarity(features.maps[-1]) - similarity(teacher.features.maps[-1])
    return {'similarity': self.weight * jnp.mean(jnp.square(difference), axis=-1)}


def similarity(x: jax.Array) -> jax.Array:
  """Products of all pairs of maps, each row of length 1, [B, H, W, C] -> [B, B]."""
  flat = x.reshape(len(x), -1)
  return l2_normalize(flat @ flat.T)


METHODS = {'sp': SP}
