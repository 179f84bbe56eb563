"""MobileNetV2 for small images: stages that end in a linear bottleneck, and a last 1x1 convolution.

`MobileNetV2` has half of the published channels and `MobileNetV2_1_0` has all of them, in the form
that RepDistiller, mdistiller and SimKD use for 32x32. `MobileNetV2_TinyImageNet` is mdistiller's
for 64x64. A student distils from the last bottleneck; the last convolution is the head.

Source: Sandler et al. 2018, arXiv:1801.04381, Table 2, with strides for small images.
"""

import functools
from collections.abc import Callable
from typing import ClassVar

from flax import linen as nn

from pidkd_jax.models.inverted_residual import InvertedResidual
from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.initializers import pytorch_default, pytorch_default_bias
from pidkd_jax.nn.layers import Classifier, ConvNorm

# (expansion, channels, blocks) of the seven rows of Table 2.
_ROWS = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
_STEM, _HEAD = 32, 1280


class MobileNetV2(Staged):
  """MobileNetV2 for 32x32.

  Attributes:
    width: the factor on the published channels; the head keeps its 1280.
    strides: the stride of each row of Table 2 (class attribute).
    stages_of_rows: the rows of each stage, from 1 (class attribute).
    layer: makes convolutions with their norms (class attribute).
  """

  width: float

  strides = (1, 1, 2, 2, 1, 2, 1)
  stages_of_rows = ((1, 2), (3,), (4, 5), (6, 7))
  layer: ClassVar[Callable[..., ConvNorm]] = ConvNorm

  def make_stem(self) -> ConvNorm:
    """Make the first convolution."""
    return self.layer(self._channels(_STEM), 3, stride=2)

  def make_classifier(self) -> Classifier:
    """Make the classifier."""
    return Classifier(
      self.num_classes,
      kernel_init=nn.initializers.normal(0.01),
      bias_init=nn.initializers.zeros,
    )

  def setup(self):
    self.stem = self.make_stem()
    self.blocks = [
      [block for row in rows for block in self._row(row)] for rows in self.stages_of_rows
    ]
    self.last = self.layer(_HEAD, 1)
    self.classifier = self.make_classifier()

  def _channels(self, published: int) -> int:
    return int(published * self.width)

  def _row(self, row: int) -> list[InvertedResidual]:
    expansion, channels, count = _ROWS[row - 1]
    inputs = self._channels(_ROWS[row - 2][1] if row > 1 else _STEM)
    features = self._channels(channels)
    return [
      InvertedResidual(
        features,
        expansion * (features if i else inputs),
        3,
        1 if i else self.strides[row - 1],
        self.activation,
        self.layer,
        name=f'row{row}_block{i + 1}',
      )
      for i in range(count)
    ]

  def head(self, last, train=False):
    return self.activation(self.last(last, train))


class MobileNetV2TinyImageNet(MobileNetV2):
  """MobileNetV2 for 64x64: a padded 1x1 stem, biases, PyTorch's initial weights, and ReLU6."""

  width: float = 1.0

  strides = (1, 2, 2, 2, 1, 1, 1)
  stages_of_rows = ((1, 2), (3,), (4,), (5, 6, 7))
  layer = staticmethod(
    functools.partial(
      ConvNorm, bias=True, kernel_init=pytorch_default, bias_init=pytorch_default_bias
    )
  )

  def activation(self, x):
    return nn.relu6(x)

  def make_stem(self):
    return self.layer(self._channels(_STEM), 1, padding=1)

  def make_classifier(self):
    return Classifier(self.num_classes)


MODELS = {
  'MobileNetV2': functools.partial(MobileNetV2, width=0.5),
  'MobileNetV2_1_0': functools.partial(MobileNetV2, width=1.0),
  'MobileNetV2_TinyImageNet': functools.partial(MobileNetV2TinyImageNet),
}
