"""A model as small as possible, for tests that compile every method."""

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
    x, maps, preactivations = image, [], []
    for convolution in self.convolutions:
      preactivations.append(convolution(x, train))
      x = nn.relu(preactivations[-1])
      maps.append(x)
    return tuple(maps), tuple(preactivations)

  def classify(self, pooled: jax.Array) -> jax.Array:
    return self.classifier(pooled)
