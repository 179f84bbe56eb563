"""Probabilistic knowledge transfer: how likely each image is another's neighbour.

Source: Passalis and Tefas 2018, arXiv:1803.10837, with the cosine kernel. The paper sums the
divergence; authors' code averages it over all pairs, an image and itself among them; we average.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class PKT(Harness):
  """Divergence between the neighbourhoods of pooled features.

  Attributes:
    weight: 30000 in RepDistiller and mdistiller; SimKD has no PKT.
  """

  weight: float = 30000.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    p, q = neighbours(teacher.features.pooled), neighbours(features.pooled)
    # What authors' code adds, as a similarity may be zero.
    divergence = p * jnp.log((p + 1e-7) / (q + 1e-7))
    return {'neighbours': self.weight * jnp.mean(divergence, axis=-1)}


def neighbours(x: jax.Array) -> jax.Array:
  """Probabilities by the cosine moved to [0, 1]; rows add up to 1. [B, C] -> [B, B]."""
  unit = l2_normalize(x)
  similarity = (unit @ unit.T + 1) / 2
  return similarity / jnp.sum(similarity, axis=-1, keepdims=True)


METHODS = {'pkt': PKT}
