"""CAT-KD: the class activation maps of student and teacher agree.

Loss: CE + weight * mean (c_s - c_t)^2, where c are class activation maps, averaged to `resolution`
by `resolution` cells. The map of a class is what its row of the classifier gives at each place of
the last map, without the bias. The mean of the map over all places is the logit without the bias.

Source: Guo et al. 2023, "Class attention transfer based knowledge distillation",
arXiv:2304.12777, and the authors' code for CIFAR-100.

Departures: the authors' networks have no bias in the classifier. Here the student and the teacher
keep theirs, and only the maps go without. Cells are averaged before they are classified, which is
the same for a linear classifier.
"""

import jax
import jax.numpy as jnp

from pidkd_jax.core.errors import at_least_one
from pidkd_jax.methods.harness import Harness
from pidkd_jax.nn import losses
from pidkd_jax.nn.layers import l2_normalize
from pidkd_jax.nn.resize import average_to, match_resolution


class CATKD(Harness):
  """Class activation maps, with the authors' defaults for resnet32x4 -> resnet8x4.

  Attributes:
    weight: of the maps' squared difference; 15 for this pair. The authors choose it by pair, from
      0.7 to 600.
    resolution: the side of the maps that are compared, in cells.
    normalize: whether each map is scaled to length 1; the authors do so where student and teacher
      are of different kinds, with weights from 15 to 600.
    divergence_weight: of the KL divergence.
  """

  weight: float = 15.0
  resolution: int = 2
  normalize: bool = False
  divergence_weight: float = 0.0

  def terms(self, features, teacher, batch, progress):
    del batch, progress
    at_least_one(resolution=self.resolution)
    size = self.resolution, self.resolution
    pair = match_resolution(
      *(average_to(each.target, size) for each in (features, teacher.features))
    )
    classifiers = self.student.classify, teacher.network.classify
    student, target = (
      activations(classify, cells) for classify, cells in zip(classifiers, pair, strict=True)
    )
    if self.normalize:
      student, target = map(l2_normalize, (student, target))
    return {'attention': self.weight * losses.mean_squared_error(student, target)}


def activations(classify, cells: jax.Array) -> jax.Array:
  """Return the class activation maps of cells of a map.

  Args:
    classify: a function from features [..., C] to logits [..., K].
    cells: [B, h, w, C].

  Returns:
    [B, K, h * w].
  """
  flat = cells.reshape(len(cells), -1, cells.shape[-1])
  maps = classify(flat) - classify(jnp.zeros_like(flat[:1, :1]))
  return maps.swapaxes(1, 2)


METHODS = {'catkd': CATKD}
