"""Knowledge distillation from the teacher's softened outputs.

Source: Hinton et al. 2015, arXiv:1503.02531.
"""

from pidkd_jax import losses
from pidkd_jax.method import Method


class KD(Method):
  """Cross-entropy with the labels and KL divergence from the teacher, both at weight 1.

  Attributes:
    weight: of the divergence; 1 in SimKD's scripts (arXiv:2203.14001).
    label_weight: of the cross-entropy; 1 likewise.
    temperature: 4, as all public CIFAR-100 recipes have it.
  """

  weight: float = 1.0
  label_weight: float = 1.0
  temperature: float = 4.0

  def loss(self, batch, teacher, *, epoch):
    del epoch
    logits = self.student(batch.image, train=True)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.label),
      'soft_target': self.weight * losses.soft_target(logits, teacher.logits, self.temperature),
    }


METHODS = {'kd': KD}
