"""Probabilistic knowledge transfer: images are as likely neighbours as for the teacher.

Loss: weight * mean p_t log(p_t / p_s) over all pairs of images, where p is (1 + cos) / 2 of their
pooled features, scaled so that rows sum to 1; beside it, `Harness` has CE and KD.

Source: Passalis and Tefas 2018, arXiv:1803.10837, with the cosine kernel.

Departure: the paper sums the divergence. The authors' code averages it over all pairs, including an
image with itself, as does this file.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class PKT(Harness):
  """Probabilistic knowledge transfer between pooled features.

  Attributes:
    weight: of the divergence; 30000 in RepDistiller and mdistiller. SimKD has no PKT.
  """

  weight: float = 30000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    p, q = neighbours(teacher.features.pooled), neighbours(features.pooled)
    # The authors' code adds 1e-7, as a similarity may be zero.
    divergence = p * jnp.log((p + 1e-7) / (q + 1e-7))
    return {'neighbours': self.weight * jnp.mean(divergence, axis=-1)}


def neighbours(x: jax.Array) -> jax.Array:
  """Return the cosines, moved to [0, 1] and scaled so that rows sum to 1: [B, C] -> [B, B]."""
  unit = l2_normalize(x)
  similarity = (unit @ unit.T + 1) / 2
  return similarity / jnp.sum(similarity, axis=-1, keepdims=True)


METHODS = {'pkt': PKT}
