"""Relational distillation: distances between images, and the angles that they form.

Source: Park et al. 2019, arXiv:1904.05068. The paper sums over distinct pairs and triples;
authors' code averages over all of them, those of an image with itself too; we average.
"""

import jax
import jax.numpy as jnp
import optax

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn.layers import l2_normalize


class RKD(Harness):
  """Huber loss of distances and of angles between pooled features.

  Attributes:
    distance_weight: 25 in RepDistiller and mdistiller; SimKD has no RKD.
    angle_weight: 50 likewise.
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
  """Relations within a batch of vectors.

  Args:
    x: [B, C].

  Returns:
    [B, B], distances over their mean between different images, and [B, B, B], the cosine at the
    first image between the second and the third; both zero where images coincide.
  """
  difference = x[None] - x[:, None]
  square = jnp.sum(jnp.square(difference), axis=-1)
  # A root has no gradient at zero, where each image is at distance from itself.
  apart = square > 1e-12
  distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
  mean = jnp.sum(distance) / jnp.maximum(jnp.sum(apart), 1)
  unit = l2_normalize(difference)
  return distance / jnp.maximum(mean, 1e-6), jnp.einsum('ijc,ikc->ijk', unit, unit)


METHODS = {'rkd': RKD}
