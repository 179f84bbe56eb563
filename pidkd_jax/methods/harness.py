"""What most rivals are: labels, the teacher's outputs, and terms of their own.

SimKD's scripts (arXiv:2203.14001) train every feature method with the cross-entropy and KD at
weight 1 each beside the method's own term; that is the default. RepDistiller (arXiv:1910.10699) and
mdistiller have no KD there: `divergence_weight` 0.
"""

import jax

from pidkd_jax.core.types import Batch, Features, TeacherOutputs
from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses
from pidkd_jax.nn.precision import to_float32


class Harness(Method):
  """Cross-entropy, KL divergence from the teacher, and the `terms` that a subclass defines.

  Attributes:
    label_weight: of the cross-entropy; 1 in SimKD, RepDistiller and mdistiller.
    divergence_weight: of the divergence; 1 in SimKD, 0 in RepDistiller and mdistiller.
    temperature: of the divergence; 4 in all of them.
  """

  label_weight: float = 1.0
  divergence_weight: float = 1.0
  temperature: float = 4.0

  def loss(self, batch, teacher, *, progress):
    features = self.student.encode(batch.image, train=True)
    logits = self.student.classify(features.pooled)
    divergence = losses.soft_targets(logits, teacher.logits, self.temperature)
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.label),
      'soft_target': self.divergence_weight * divergence,
      **self.terms(*_exactly(features, teacher), batch, progress),
    }

  def terms(
    self, features: Features, teacher: TeacherOutputs, batch: Batch, progress: jax.Array
  ) -> dict[str, jax.Array]:
    """The method's own terms, weighted, each [B] or scalar.

    `features` are the student's; they and the teacher's are float32 in every training, as a term
    may have to tell small differences.
    """
    raise NotImplementedError


def _exactly(features: Features, teacher: TeacherOutputs) -> tuple[Features, TeacherOutputs]:
  features, theirs = jax.tree.map(to_float32, (features, teacher.features))
  return features, teacher.replace(features=theirs)


def paired(student: Features, teacher: Features) -> list[tuple[jax.Array, jax.Array]]:
  """The stages' maps of the two networks, in order from the first stage on.

  Where one network has more stages its last ones have no partner, as in all three repositories;
  the stems take no part.
  """
  return list(zip(student.maps, teacher.maps, strict=False))
