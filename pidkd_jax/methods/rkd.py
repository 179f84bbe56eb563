"""Relational distillation: images have the teacher's distances, and form the teacher's angles.

Loss: distance_weight * mean huber(d_s - d_t) over pairs of images + angle_weight * mean
huber(cos_s - cos_t) over triples, where d is a distance over the mean distance; beside it,
`Harness` has CE and KD.

Source: Park et al. 2019, arXiv:1904.05068.

Departure: the paper sums over distinct pairs and triples. The authors' code averages over all of
them, including an image with itself, as does this file.
"""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class RKD(Harness):
  """Relational distillation of pooled features.

  The defaults are those of RepDistiller and mdistiller. SimKD has no RKD.

  Attributes:
    distance_weight: of the distances' term.
    angle_weight: of the angles' term.
  """

  distance_weight: float = 25.0
  angle_weight: float = 50.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    (distance, angle), (distance_t, angle_t) = map(
      relations, (features.pooled, teacher.features.pooled)
    )
    distance = jnp.mean(optax.losses.huber_loss(distance, distance_t), axis=-1)
    angle = jnp.mean(optax.losses.huber_loss(angle, angle_t), axis=(-2, -1))
    return {'distance': self.distance_weight * distance, 'angle': self.angle_weight * angle}


def relations(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Compute the distances and angles within a batch of vectors.

  Args:
    x: [B, C].

  Returns:
    [B, B], distances over their mean between different images; and [B, B, B], the cosine at the
    first image between the second and the third. Both are zero where images coincide.
  """
  difference = x[None] - x[:, None]
  square = jnp.sum(jnp.square(difference), axis=-1)
  # A root has no gradient at zero, which is each image's distance from itself.
  differ = square > 1e-12
  distance = jnp.where(differ, jnp.sqrt(jnp.where(differ, square, 1.0)), 0.0)
  mean = jnp.sum(distance) / jnp.maximum(jnp.sum(differ), 1)
  unit = l2_normalize(difference)
  return distance / jnp.maximum(mean, 1e-6), jnp.einsum('ijc,ikc->ijk', unit, unit)


METHODS = {'rkd': RKD}
