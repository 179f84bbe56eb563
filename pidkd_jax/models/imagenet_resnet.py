"""ResNets of four stages, for small images and for photographs.

`ResNet18` and `ResNet50` are for small images: the stem is a 3x3 convolution of stride 1 without a
pooling behind it, as in mdistiller. `resnet18_imagenet` and its deeper relatives are torchvision's
and timm's: a 7x7 stem of stride 2, and a max-pooling. A bottleneck has its stride in the 3x3
convolution.

Source: He et al. 2016, arXiv:1512.03385, Table 1.
"""

import functools
from typing import Any

import jax
from flax import linen as nn

from pidkd_jax.models.resnet import BasicBlock
from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.layers import Classifier, ConvNorm

# Channels between the convolutions of each stage; the stem has those of the first.
_WIDTHS = (64, 128, 256, 512)


class Bottleneck(nn.Module):
  """1x1, 3x3 and 1x1 convolution with a shortcut.

  Attributes:
    features: channels of its map, four times those between the convolutions.
    stride: of the 3x3 convolution, and of the shortcut.
  """

  features: int
  stride: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the sum after its ReLU, and the sum itself."""
    hidden = self.features // 4
    y = nn.relu(ConvNorm(hidden, 1, name='first')(x, train))
    y = nn.relu(ConvNorm(hidden, 3, self.stride, name='second')(y, train))
    y = ConvNorm(self.features, 1, name='third')(y, train)
    if self.stride > 1 or x.shape[-1] != self.features:
      x = ConvNorm(self.features, 1, self.stride, name='shortcut')(x, train)
    y = y + x
    return nn.relu(y), y


class ImageNetResNet(Staged):
  """ResNet of four stages.

  Attributes:
    blocks_per_stage: the number of blocks in each of the four stages.
    bottleneck: whether blocks are bottlenecks, with four times the channels, or basic blocks.
  """

  blocks_per_stage: tuple[int, int, int, int]
  bottleneck: bool

  def make_stem(self) -> ConvNorm:
    """Make the first convolution."""
    return ConvNorm(_WIDTHS[0], 3)

  def setup(self):
    block = Bottleneck if self.bottleneck else BasicBlock
    expansion = 4 if self.bottleneck else 1
    self.stem = self.make_stem()
    self.blocks = [
      [
        block(width * expansion, stride if i == 0 else 1, name=f'stage{stage}_block{i + 1}')
        for i in range(count)
      ]
      for stage, (width, stride, count) in enumerate(
        zip(_WIDTHS, (1, 2, 2, 2), self.blocks_per_stage, strict=True), start=1
      )
    ]
    self.classifier = Classifier(self.num_classes)


class PhotographResNet(ImageNetResNet):
  """ResNet with the published stem; the first stage has a quarter of the image's side."""

  def make_stem(self):
    return ConvNorm(_WIDTHS[0], 7, stride=2)

  def reduce(self, x):
    padding: Any = ((1, 1), (1, 1))  # Flax annotates it as a string.
    return nn.max_pool(x, window_shape=(3, 3), strides=(2, 2), padding=padding)

  @property
  def depth(self) -> int:
    """One more than the convolutions larger than 1x1, by which state dicts are told apart."""
    return 2 + sum(self.blocks_per_stage) * (1 if self.bottleneck else 2)


MODELS = {
  'ResNet18': functools.partial(ImageNetResNet, blocks_per_stage=(2, 2, 2, 2), bottleneck=False),
  'ResNet50': functools.partial(ImageNetResNet, blocks_per_stage=(3, 4, 6, 3), bottleneck=True),
} | {
  f'resnet{depth}_imagenet': functools.partial(
    PhotographResNet, blocks_per_stage=blocks, bottleneck=depth > 34
  )
  for depth, blocks in {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
  }.items()
}
