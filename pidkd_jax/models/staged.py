"""The shape of most models: a stem, stages of blocks, and a linear classifier."""

import jax
from flax import linen as nn

from pidkd_jax.models.base import Model


class Staged(Model):
  """A stem, stages of blocks, and a linear classifier, all made by the family's `setup`.

  `setup` must set

  - `stem`, called with (x, train), which returns its map before the activation;
  - `blocks`, a list of blocks for each stage. A block is called with (x, train) and returns its
    map, and the same map before its last activation;
  - `classifier`, the pooled feature [..., C] -> logits [..., K].
  """

  def activation(self, x: jax.Array) -> jax.Array:
    """Return the activation of the stem's map."""
    return nn.relu(x)

  def reduce(self, x: jax.Array) -> jax.Array:
    """Return what the first stage reads, given the stem's map; the default is that map."""
    return x

  def trunk(self, image, train):
    preactivation = self.stem(image, train)
    x = self.activation(preactivation)
    maps, preactivations = [x], [preactivation]
    x = self.reduce(x)
    for blocks in self.blocks:
      for block in blocks:
        x, preactivation = block(x, train)
      maps.append(x)
      preactivations.append(preactivation)
    return tuple(maps), tuple(preactivations)

  def classify(self, pooled):
    return self.classifier(pooled)
