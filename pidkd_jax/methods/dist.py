"""DIST: correlations with the teacher's probabilities, of each image and of each class.

Loss: CE + T^2 (weight * (1 - r of an image's probabilities) + class_weight * (1 - r of a class's
probabilities over the batch)), where r is Pearson's correlation and probabilities are softened by
T. The first is averaged over images, the second over classes.

Of two classes the first correlation is 1 or -1, so its term has no gradient. The other terms train.

Source: Huang et al. 2022, "Knowledge distillation from a stronger teacher", arXiv:2205.10536.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses

# The authors' epsilon on the product of two lengths. It shows where probabilities hardly vary.
_EPSILON = 1e-8


class DIST(Method):
  """Correlations of softened probabilities between classes and within each class.

  The defaults are those of the authors' script for CIFAR-100.

  Attributes:
    weight: of the correlation between the classes of an image; the paper's beta.
    class_weight: of the correlation within a class, over the images of the batch; the paper's
      gamma.
    label_weight: of the cross-entropy.
    temperature: T, divides both logits; 4 for CIFAR-100, 1 for ImageNet.
  """

  weight: float = 2.0
  class_weight: float = 2.0
  label_weight: float = 1.0
  temperature: float = 4.0

  def loss(self, batch, teacher, *, progress):
    del progress
    logits = self.student(batch.image, train=True)
    student, target = (jax.nn.softmax(x / self.temperature) for x in (logits, teacher.logits))
    scale = self.temperature**2
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'inter_class': self.weight * scale * (1 - correlation(student, target)),
      'intra_class': self.class_weight * scale * jnp.mean(1 - correlation(student.T, target.T)),
    }


def correlation(x: jax.Array, y: jax.Array) -> jax.Array:
  """Compute Pearson's correlation of each row of x with the same row of y.

  Args:
    x: [N, K].
    y: [N, K].

  Returns:
    [N]. It is 0, and so is its gradient by x, where a row of x and of y does not vary.
  """
  x, y = (each - jnp.mean(each, axis=1, keepdims=True) for each in (x, y))
  return jnp.sum(x * y, axis=1) / (_length(x) * _length(y) + _EPSILON)


def _length(x: jax.Array) -> jax.Array:
  # At zero a root has no gradient. Beside 1e-8 the addend is nothing.
  return jnp.sqrt(jnp.sum(jnp.square(x), axis=1) + 1e-30)


METHODS = {'dist': DIST}
