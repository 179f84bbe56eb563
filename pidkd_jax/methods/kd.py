"""Knowledge distillation from the teacher's softened outputs, in both published weightings.

Source: Hinton et al. 2015, arXiv:1503.02531.
"""

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class KD(Method):
  """Cross-entropy with the labels and KL divergence from the teacher.

  Attributes:
    weight: of the divergence; 1 in SimKD's scripts (arXiv:2203.14001).
    label_weight: of the cross-entropy; 1 likewise.
    temperature: 4, as all public CIFAR-100 recipes have it.
    standardize: whether both logits are standardised first (`losses.standardize`).
  """

  weight: float = 1.0
  label_weight: float = 1.0
  temperature: float = 4.0
  standardize: bool = False

  def loss(self, batch, teacher, *, progress):
    del progress
    logits = self.student(batch.image, train=True)
    compared = (logits, teacher.logits)
    if self.standardize:
      compared = tuple(map(losses.standardize, compared))
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.label),
      'soft_target': self.weight * losses.soft_targets(*compared, self.temperature),
    }


class ConvexKD(KD):
  """The same with a convex combination of the two, as RepDistiller (arXiv:1910.10699) weighs them.

  Attributes:
    weight: 0.9 in the scripts of RepDistiller and mdistiller.
    label_weight: 0.1 likewise.
  """

  weight: float = 0.9
  label_weight: float = 0.1


class StandardizedKD(ConvexKD):
  """The latter of standardised logits, which are small (arXiv:2403.01427).

  Attributes:
    weight: 9 in its authors' script, ten times what they take without.
    temperature: 2 likewise.
  """

  weight: float = 9.0
  temperature: float = 2.0
  standardize: bool = True


# Each is called by the weights of cross-entropy and divergence with which it is published.
METHODS = {'kd_1_1': KD, 'kd_01_09': ConvexKD, 'kd_01_09_standardized': StandardizedKD}
