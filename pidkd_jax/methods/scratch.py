"""Plain supervised training, which makes teachers and baselines.

Loss: CE, the cross-entropy with the labels.
"""

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class Scratch(Method):
  """Cross-entropy with the labels, without a teacher."""

  needs_teacher = False

  def loss(self, batch, teacher, *, progress):
    del teacher, progress
    logits = self.student(batch.image, train=True)
    return {'cross_entropy': losses.cross_entropy(logits, batch.target)}


METHODS = {'scratch': Scratch}
