"""WTTM: the student matches a power of the teacher's probabilities without a temperature.

Loss: label_weight * CE + weight * u KL(q || softmax(s)), where q is proportional to p^exponent of
the teacher's probabilities p, and u is the sum of these powers over the classes. The sum is large
where the teacher is unsure, so such images count more.

Source: Zheng and Yang 2024, "Knowledge distillation based on transformed teacher matching", ICLR,
arXiv:2402.11148, and the authors' code for CIFAR-100.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class WTTM(Method):
  """A power of the teacher's probabilities, with more weight where the teacher is unsure.

  The defaults are those of the authors' only example of WTTM, where CRD stands beside it
  (vgg13 -> vgg8). Their paper lists other values for other pairs.

  Attributes:
    weight: of the divergence; the paper's beta.
    exponent: of the teacher's probabilities, in (0, 1); the paper's gamma, 1 / T.
    label_weight: of the cross-entropy.
  """

  weight: float = 4.0
  exponent: float = 0.2
  label_weight: float = 1.0

  def loss(self, batch, teacher, *, progress):
    del progress
    logits = self.student(batch.image, train=True)
    powers = self.exponent * jax.nn.log_softmax(teacher.logits)
    unsure = jnp.exp(jax.nn.logsumexp(powers, axis=-1))
    divergence = unsure * losses.soft_targets(logits, powers, temperature=1.0)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'transformed_target': self.weight * divergence,
    }


METHODS = {'wttm': WTTM}
