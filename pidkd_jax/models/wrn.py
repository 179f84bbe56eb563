"""Wide ResNets with pre-activation blocks.

`wrn_D_K` has depth D and width factor K: stages of 16 K, 32 K and 64 K channels.

Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146, without dropout.
"""

import functools

import jax
from flax import linen as nn

from pidkd_jax.core.types import Features
from pidkd_jax.models.base import Model, pool
from pidkd_jax.nn.batch_norm import BatchNorm
from pidkd_jax.nn.layers import Classifier, conv


class PreActivationBlock(nn.Module):
  """Norm, ReLU, 3x3 convolution, twice, with a shortcut.

  Attributes:
    features: channels of its map.
    stride: of the first convolution, and of the shortcut.
  """

  features: int
  stride: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the sum, without an activation, and the output of the first norm."""
    normed = BatchNorm(name='norm1')(x, train)
    y = nn.relu(normed)
    if self.features != x.shape[-1]:
      # Where the width changes, the shortcut also starts from the activation.
      x = conv(self.features, 1, self.stride, name='shortcut')(y)
    y = conv(self.features, 3, self.stride, name='conv1')(y)
    y = nn.relu(BatchNorm(name='norm2')(y, train))
    return x + conv(self.features, 3, name='conv2')(y), normed


class WRN(Model):
  """Wide ResNet; its stages end in raw sums, and its head is a norm and a ReLU.

  A map's preactivation is the output of the norm after it, as in the ReviewKD authors' code. A
  student distils from the last stage's map behind that norm and its ReLU.

  Attributes:
    depth: 6n + 4, with n blocks in each stage.
    factor: K, the width factor.
  """

  depth: int
  factor: int

  def setup(self):
    if (self.depth - 4) % 6:
      raise ValueError(f'a wide ResNet has depth 6n + 4, not {self.depth}')
    self.stem = conv(16, 3)
    self.blocks = [
      [
        PreActivationBlock(
          width * self.factor,
          stride if block == 0 else 1,
          name=f'stage{stage}_block{block + 1}',
        )
        for block in range((self.depth - 4) // 6)
      ]
      for stage, (width, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=1)
    ]
    self.norm = BatchNorm()
    self.classifier = Classifier(self.num_classes, bias_init=nn.initializers.zeros)

  def trunk(self, image, train):
    x = self.stem(image)
    maps, preactivations = [x], []
    for first, *others in self.blocks:
      x, normed = first(x, train)
      preactivations.append(normed)
      for block in others:
        x, _ = block(x, train)
      maps.append(x)
    # The last stage's map stands for its preactivation until `encode` applies the head's norm.
    return tuple(maps), (*preactivations, x)

  def encode(self, image, train=False):
    maps, (*preactivations, last) = self.trunk(image, train)
    last = self.normed(last, train)
    target = nn.relu(last)
    return Features(maps, (*preactivations, last), target, pool(target), self.rectified)

  def normed(self, last: jax.Array, train: bool) -> jax.Array:
    """Return the last stage's map behind the head's norm, before its ReLU."""
    return self.norm(last, train)

  def head(self, last, train=False):
    return nn.relu(self.normed(last, train))

  def distillation_map(self, last, train=False):
    return self.head(last, train)

  def classify(self, pooled):
    return self.classifier(pooled)


MODELS = {
  f'wrn_{depth}_{factor}': functools.partial(WRN, depth=depth, factor=factor)
  for depth in (16, 40)
  for factor in (1, 2)
}
