"""PIDKD with labels beside the map: the deployed network's own logits are also trained on labels.

Loss: PIDKD's + label_weight * CE of the logits that the teacher's classifier gives the integrated
map.

Source: this package (docs/lab/labels.md).
"""

from flax import linen as nn

from pidkd_jax.methods.pidkd import PIDKD
from pidkd_jax.models.base import pool
from pidkd_jax.nn import losses


class LabelledPIDKD(PIDKD):
  """The integrated map imitates the target map and learns from labels.

  The teacher's classifier stays as it is, so the labels train student and projectors alone.

  Attributes:
    label_weight: of the cross-entropy; 10 was the best of 1, 3, 10, 30 and 100.
  """

  label_weight: float = 10.0

  needs_labels = True

  @nn.compact
  def loss(self, batch, teacher, *, progress):
    stack, z, target = self.projection(batch, teacher)
    maps = stack.outputs(z, train=True)
    integrated = stack.integrate(maps)
    logits = teacher.network.classify(pool(integrated))
    imitating = maps if self.separate else integrated[None]
    return {
      'feature': self.feature(imitating, target, progress),
      'cross_entropy': self.label_weight * losses.cross_entropy(logits, batch.target),
    }


METHODS = {'pidkd_labels': LabelledPIDKD}
