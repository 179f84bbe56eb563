"""Plain supervised training: how teachers and baselines are made."""

from pidkd_jax.methods.base import Method
from pidkd_jax.nn import losses


class Scratch(Method):
  """Cross-entropy with the labels alone."""

  needs_teacher = False

  def loss(self, batch, teacher, *, progress):
    del teacher, progress
    logits = self.student(batch.image, train=True)
    return {'cross_entropy': losses.cross_entropy(logits, batch.label)}


METHODS = {'scratch': Scratch}
