"""Plain supervised training: how teachers and baselines are made."""

from pidkd_jax import losses
from pidkd_jax.method import Method


class Scratch(Method):
  """Cross-entropy with the labels alone."""

  needs_teacher = False

  def loss(self, batch, teacher, *, progress):
    del teacher, progress
    logits = self.student(batch.image, train=True)
    return {'cross_entropy': losses.cross_entropy(logits, batch.label)}


METHODS = {'scratch': Scratch}
