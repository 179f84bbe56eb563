"""Similarity-preserving distillation: the images of a batch are as similar as for the teacher.

Loss: weight * sum (G_s - G_t)^2 / B^2, where G = F F^T with rows of length 1, of the last stage's
maps; beside it, `Harness` has CE and KD.

Source: Tung and Mori 2019, arXiv:1907.09682, at the last stage only, as in SimKD, RepDistiller and
mdistiller.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class SP(Harness):
  """Similarity-preserving distillation.

  The two maps may differ in size, as only images are compared.

  Attributes:
    weight: of the squared difference; 3000 in SimKD, RepDistiller and mdistiller.
  """

  weight: float = 3000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    difference = similarity(features.maps[-1]) - similarity(teacher.features.maps[-1])
    return {'similarity': self.weight * jnp.mean(jnp.square(difference), axis=-1)}


def similarity(x: jax.Array) -> jax.Array:
  """Return the products of all pairs of maps, rows of length 1: [B, H, W, C] -> [B, B]."""
  flat = x.reshape(len(x), -1)
  return l2_normalize(flat @ flat.T)


METHODS = {'sp': SP}
