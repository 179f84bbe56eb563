"""Knowledge distillation from the teacher's softened outputs, in both published weightings.

Loss: label_weight * CE + weight * KD, where KD = T^2 KL(softmax(t / T) || softmax(s / T)) of the
teacher's logits t and the student's s.

Source: Hinton et al. 2015, arXiv:1503.02531. Logit standardisation: Sun et al. 2024,
arXiv:2403.01427.
"""

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class KD(Method):
  """Cross-entropy with the labels and KL divergence from the teacher.

  The weights of 1 are those of SimKD's scripts (arXiv:2203.14001).

  Attributes:
    weight: of the KL divergence.
    label_weight: of the cross-entropy.
    temperature: T, divides both logits; 4 in all public CIFAR-100 recipes.
    standardize: whether both logits are standardised first (`losses.standardize`). It needs three
      classes.
  """

  weight: float = 1.0
  label_weight: float = 1.0
  temperature: float = 4.0
  standardize: bool = False

  def loss(self, batch, teacher, *, progress):
    del progress
    logits = self.student(batch.image, train=True)
    cross_entropy = self.label_weight * losses.cross_entropy(logits, batch.target)
    target = teacher.logits
    if self.standardize:
      logits, target = map(losses.standardize, (logits, target))
    divergence = self.weight * losses.soft_targets(logits, target, self.temperature)
    return {'cross_entropy': cross_entropy, 'soft_target': divergence}


class ConvexKD(KD):
  """KD as a convex combination, with the weights of RepDistiller's and mdistiller's scripts.

  Source: RepDistiller, arXiv:1910.10699.

  Attributes:
    weight: of the KL divergence.
    label_weight: of the cross-entropy.
  """

  weight: float = 0.9
  label_weight: float = 0.1


class StandardizedKD(ConvexKD):
  """`kd_01_09` of standardised logits, which are small and so have a larger weight.

  The defaults are those of the authors' script (arXiv:2403.01427).

  Attributes:
    weight: of the KL divergence, ten times the authors' weight without standardisation.
    temperature: T.
  """

  weight: float = 9.0
  temperature: float = 2.0
  standardize: bool = True


# Each is named by its published weights of cross-entropy and divergence.
METHODS = {'kd_1_1': KD, 'kd_01_09': ConvexKD, 'kd_01_09_standardized': StandardizedKD}
