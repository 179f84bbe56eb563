"""PIDKD with the terms of KD on the logits that the teacher's classifier gives the integrated map.

KD reads labels and PIDKD reads none. docs/lab/labels.md has the command and the figures.
"""

import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.pidkd import PIDKD
from pidkd_jax.methods.wide import Wide
from pidkd_jax.nn import losses
from pidkd_jax.nn.precision import to_float32


class Labelled(PIDKD):
  """PIDKD's loss, cross-entropy with the labels and KL divergence from the teacher's logits.

  Attributes:
    label_weight: of the cross-entropy.
    divergence_weight: of the KL divergence.
    temperature: of the divergence.
  """

  label_weight: float = 0.0
  divergence_weight: float = 0.0
  temperature: float = 4.0

  needs_labels = True

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    del progress
    stack, z, target = self.projection(batch, teacher)
    mean, target = stack(z, train=True), to_float32(target)
    error = losses.mean_squared_error(mean, target) / jnp.mean(jnp.square(target))
    logits = teacher.network.classify(jnp.mean(mean, axis=(1, 2)))
    divergence = losses.soft_targets(logits, teacher.logits, self.temperature)
    return {
      'feature': self.weight * error,
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'soft_target': self.divergence_weight * divergence,
    }


class WideLabelled(Wide, Labelled):
  """One projector of the stack's size, under the same terms."""
