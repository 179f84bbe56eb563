"""CIFAR ResNets: three stages of basic blocks, activation after the addition.

`resnetD` has depth D and stages of 16, 32 and 64 channels. `resnetDxK` has K times the channels in
its stages; its stem has 16 channels, or 32 at x4, as in RepDistiller and SimKD. SimKD writes
WRN-40-2, WRN-40-1 and WRN-16-2 for resnet38x2, resnet38 and resnet14x2.

Source: He et al. 2016, arXiv:1512.03385, Sec. 4.2, with 1x1 convolutions as projection shortcuts.
"""

import functools

import jax
from flax import linen as nn

from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.layers import Classifier, ConvNorm


class BasicBlock(nn.Module):
  """Two 3x3 convolutions with a shortcut.

  Attributes:
    features: channels of its map.
    stride: of the first convolution, and of the shortcut.
  """

  features: int
  stride: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the sum after its ReLU, and the sum itself."""
    y = nn.relu(ConvNorm(self.features, 3, self.stride, name='first')(x, train))
    y = ConvNorm(self.features, 3, name='second')(y, train)
    if self.stride > 1 or x.shape[-1] != self.features:
      x = ConvNorm(self.features, 1, self.stride, name='shortcut')(x, train)
    y = y + x
    return nn.relu(y), y


class ResNet(Staged):
  """CIFAR ResNet.

  Attributes:
    depth: 6n + 2, with n blocks in each stage.
    widths: channels of the stem and of the three stages.
  """

  depth: int
  widths: tuple[int, int, int, int]

  def setup(self):
    if (self.depth - 2) % 6:
      raise ValueError(f'a CIFAR ResNet has depth 6n + 2, not {self.depth}')
    self.stem = ConvNorm(self.widths[0], 3)
    self.blocks = [
      [
        BasicBlock(width, stride if block == 0 else 1, name=f'stage{stage}_block{block + 1}')
        for block in range((self.depth - 2) // 6)
      ]
      for stage, (width, stride) in enumerate(zip(self.widths[1:], (1, 2, 2), strict=True), start=1)
    ]
    self.classifier = Classifier(self.num_classes)

  @nn.nowrap
  def widened(self, factor):
    return self.clone(widths=tuple(max(1, round(factor * width)) for width in self.widths))


_WIDTHS = {'': (16, 16, 32, 64), 'x2': (16, 32, 64, 128), 'x4': (32, 64, 128, 256)}
_DEPTHS = {
  '': (8, 14, 20, 32, 38, 44, 56, 110, 116),
  'x2': (14, 38, 110),
  'x4': (8, 14, 32, 38),
}

MODELS = {
  f'resnet{depth}{times}': functools.partial(ResNet, depth=depth, widths=_WIDTHS[times])
  for times, depths in _DEPTHS.items()
  for depth in depths
}
