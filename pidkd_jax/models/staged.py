"""What most networks are: a stem, and stages of blocks."""

import jax
from flax import linen as nn

from pidkd_jax.models.base import Model


class Staged(Model):
  """A stem, stages of blocks, and a linear classifier; a family's `setup` makes them.

  It sets `stem` (x, train -> its map before the activation), `blocks` (a list of blocks for each
  stage, each x, train -> its map and the same before its last activation) and `classifier`.
  """

  def activation(self, x: jax.Array) -> jax.Array:
    """What follows the stem."""
    return nn.relu(x)

  def trunk(self, image, train):
    preactivation = self.stem(image, train)
    x = self.activation(preactivation)
    maps, preactivations = [x], [preactivation]
    for blocks in self.blocks:
      for block in blocks:
        x, preactivation = block(x, train)
      maps.append(x)
      preactivations.append(preactivation)
    return tuple(maps), tuple(preactivations)

  def classify(self, pooled):
    return self.classifier(pooled)
