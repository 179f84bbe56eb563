"""VGG with BatchNorm for small images.

`vggD` has D layers with weights in the paper's count: D - 3 convolutions. A spatial mean and one
linear layer stand in place of the paper's three, as in RepDistiller and SimKD.

Source: Simonyan and Zisserman 2015, arXiv:1409.1556, Table 1.
"""

import functools

from flax import linen as nn

from pidkd_jax.models.base import Model
from pidkd_jax.nn.layers import Classifier, ConvNorm

_WIDTHS = (64, 128, 256, 512, 512)


class VGG(Model):
  """Five blocks of 3x3 convolutions with pooling between them.

  Attributes:
    layers: the number of convolutions in each of the five blocks.
  """

  layers: tuple[int, int, int, int, int]

  def setup(self):
    self.blocks = [
      [
        # The published networks have a bias although a norm follows.
        ConvNorm(width, 3, bias=True, name=f'block{block}_layer{layer}')
        for layer in range(1, count + 1)
      ]
      for block, (width, count) in enumerate(zip(_WIDTHS, self.layers, strict=True), start=1)
    ]
    self.classifier = Classifier(
      self.num_classes,
      kernel_init=nn.initializers.normal(0.01),
      bias_init=nn.initializers.zeros,
    )

  def trunk(self, image, train):
    # From a shorter side of 64 on, the last block is behind a pooling too.
    pooled_blocks = 4 if min(image.shape[1:3]) >= 64 else 3
    x, maps, preactivations = image, [], []
    for index, block in enumerate(self.blocks):
      if 1 <= index <= pooled_blocks:
        x = nn.max_pool(x, window_shape=(2, 2), strides=(2, 2))
      for layer in block:
        preactivation = layer(x, train)
        x = nn.relu(preactivation)
      maps.append(x)
      preactivations.append(preactivation)
    return tuple(maps), tuple(preactivations)

  def classify(self, pooled):
    return self.classifier(pooled)


MODELS = {
  name: functools.partial(VGG, layers=layers)
  for name, layers in {
    'vgg8': (1, 1, 1, 1, 1),
    'vgg11': (1, 1, 2, 2, 2),
    'vgg13': (2, 2, 2, 2, 2),
    'vgg16': (2, 2, 3, 3, 3),
    'vgg19': (2, 2, 4, 4, 4),
  }.items()
}
