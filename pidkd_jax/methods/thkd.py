"""TH-KD: the teacher's frozen classifier also reads the student's feature.

Loss: CE + 1.5 KD + weight * T^2 KL(softmax(t / T) || softmax(h / T)), where t are the teacher's
logits, and h those that its classifier gives to the student's pooled feature. The student keeps its
own classifier.

Source: Ben-Baruch et al. 2022, "It's all in the head: representation knowledge distillation through
classifier sharing", arXiv:2201.06945. The authors' other scheme, SH-KD, trains another teacher
under a student's classifier, so it is no method for a teacher that is given.

Departure: the authors' student has as many channels as the teacher. Where it has not, a linear map
that is dropped afterwards lies between.
"""

from flax import linen as nn

from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.layers import linear


class THKD(Harness):
  """KD, and KD once more by the teacher's classifier on the student's feature.

  The defaults are those of the authors' script for resnet32x4 -> resnet8x4.

  Attributes:
    weight: of the divergence by the teacher's classifier.
    divergence_weight: of the divergence by the student's own.
    temperature: of both divergences.
  """

  weight: float = 0.02
  divergence_weight: float = 1.5
  temperature: float = 4.0

  @nn.compact
  def terms(self, features, teacher, batch, progress):
    del batch, progress
    pooled, channels = features.pooled, teacher.features.pooled.shape[-1]
    if pooled.shape[-1] != channels:
      pooled = linear(channels, pooled.shape[-1], name='map')(pooled)
    logits = teacher.network.classify(pooled)
    divergence = losses.soft_targets(logits, teacher.logits, self.temperature)
    return {'teacher_head': self.weight * divergence}


METHODS = {'thkd': THKD}
