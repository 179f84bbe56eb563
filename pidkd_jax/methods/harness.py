"""The common part of most methods: labels and the teacher's logits, beside terms of their own.

SimKD's scripts (arXiv:2203.14001) train every feature method with the cross-entropy and KD at
weight 1 each beside the method's own term. That is the default here. RepDistiller
(arXiv:1910.10699) and mdistiller have no KD there: `divergence_weight` is 0.
"""

import jax

from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods.base import Method
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import losses
from pidkd_jax.nn.precision import to_float32


class Harness(Method):
  """Cross-entropy, KL divergence from the teacher, and the `terms` that a subclass defines.

  Loss: label_weight * CE + divergence_weight * KD + sum of `terms`.

  Attributes:
    label_weight: of the cross-entropy; 1 in SimKD, RepDistiller and mdistiller.
    divergence_weight: of the KL divergence; 1 in SimKD, 0 in RepDistiller and mdistiller.
    temperature: of the divergence; 4 in all three.
  """

  label_weight: float = 1.0
  divergence_weight: float = 1.0
  temperature: float = 4.0

  def loss(self, batch, teacher, *, progress):
    features = self.student.encode(batch.image, train=True)
    logits = self.student.classify(features.pooled)
    divergence = losses.soft_targets(logits, teacher.logits, self.temperature)
    # A term may depend on small differences, so it sees float32 in every training.
    features, target = jax.tree.map(to_float32, (features, teacher.features))
    return {
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
      'soft_target': self.divergence_weight * divergence,
      **self.terms(features, teacher.replace(features=target), batch, progress),
    }

  def terms(
    self, features: Features, teacher: TeacherOutputs, batch: Batch, progress: jax.Array
  ) -> dict[str, jax.Array]:
    """Compute the method's own terms, weighted, each float32 [B] or scalar.

    Args:
      features: float32, the student's.
      teacher: the teacher's outputs, with float32 features.
      batch: as in `loss`.
      progress: as in `loss`.
    """
    raise NotImplementedError(f'{type(self).__name__} does not define `terms`')


def paired(student: Features, teacher: Features) -> list[tuple[jax.Array, jax.Array]]:
  """Pair the stages' maps of the two networks in order, from the first stage on.

  The last stages of the deeper network have no partner, as in RepDistiller, mdistiller and SimKD.
  The stems take no part.
  """
  return list(zip(student.maps, teacher.maps, strict=False))
