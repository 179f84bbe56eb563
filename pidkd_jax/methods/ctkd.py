"""CTKD: KD at a temperature that is learned, and that makes the task harder as training goes on.

Loss: label_weight * CE + weight * KD at T = lowest + span * sigmoid(a), where the parameter `a`
sees the gradient times -lambda. So it moves towards the temperature at which student and teacher
differ most. Lambda rises from 0 to 1 along a cosine within `warmup`.

Source: Li et al. 2023, "Curriculum temperature for knowledge distillation", AAAI,
arXiv:2211.16231, with the global temperature, and the authors' code for CIFAR-100.

Departure: the authors' lambda rises by epochs, in the first 10 of 240. Here it rises by steps, in
a share of the training.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class CTKD(Method):
  """KD at a learned temperature, with the defaults of the authors' script.

  Attributes:
    weight: of the KL divergence.
    label_weight: of the cross-entropy.
    lowest: the lowest temperature.
    span: the highest temperature minus the lowest. The temperature begins at 15.6 by default.
    warmup: the share of the training in which lambda rises; 10 of 240 epochs.
  """

  weight: float = 0.9
  label_weight: float = 0.1
  lowest: float = 1.0
  span: float = 20.0
  warmup: float = 10 / 240

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    logits = self.student(batch.image, train=True)
    level = self.param('temperature', nn.initializers.ones, ())
    level = reverse_gradient(level, cosine_rise(progress, self.warmup))
    temperature = self.lowest + self.span * jax.nn.sigmoid(level)
    divergence = losses.soft_targets(logits, teacher.logits, temperature)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'soft_target': self.weight * divergence,
    }


def reverse_gradient(x: jax.Array, factor: jax.Array) -> jax.Array:
  """Return x unchanged, whose gradient is multiplied by `-factor`.

  Source: Ganin and Lempitsky 2015, arXiv:1409.7495.

  Example:
    >>> jax.value_and_grad(reverse_gradient)(3.0, 0.5)
    (Array(3., dtype=float32, weak_type=True), Array(-0.5, dtype=float32, weak_type=True))
  """
  fixed = jax.lax.stop_gradient(x)
  return fixed - factor * (x - fixed)


def cosine_rise(progress: jax.Array, duration: float) -> jax.Array:
  """Return a factor that rises from 0 to 1 along half a cosine, and then stays.

  Args:
    progress: as `Method.loss` has it.
    duration: the share of the training in which the factor rises.
  """
  return (1 - jnp.cos(jnp.pi * losses.warm_up(progress, duration))) / 2


METHODS = {'ctkd': CTKD}
