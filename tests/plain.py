"""A network as small as they come, for what compiles every method."""

import jax
from flax import linen as nn

from pidkd_jax.models.base import Model
from pidkd_jax.nn.layers import Classifier, ConvNorm


class Plain(Model):
  """A stem and two stages of one convolution each."""

  def setup(self):
    self.convolutions = [ConvNorm(5, 3), ConvNorm(6, 3, 2), ConvNorm(7, 3, 2)]
    self.classifier = Classifier(self.num_classes)

  def trunk(self, image: jax.Array, train: bool):
    x, maps, before = image, [], []
    for convolution in self.convolutions:
      before.append(convolution(x, train))
      x = nn.relu(before[-1])
      maps.append(x)
    return tuple(maps), tuple(before)

  def classify(self, pooled: jax.Array) -> jax.Array:
    return self.classifier(pooled)
