"""MobileNetV3, small and large, with timm's names, parameters and outputs.

The published head pools before its last 1x1 convolution. So the target map is the one before, and
`classify` has that convolution, its activation and the linear layer. Those called `tf_...` are for
weights that were trained in TensorFlow.

Source: Howard et al. 2019, arXiv:1905.02244, Tables 1 and 2.
"""

import functools
from typing import ClassVar

from flax import linen as nn

from pidkd_jax.models.inverted_residual import (
  InvertedResidualNet,
  Row,
  SqueezeExcite,
  divisible,
)
from pidkd_jax.nn import initializers
from pidkd_jax.nn.layers import linear

_STEM = 16
# Below this width the stem keeps its published channels.
_SCALED_STEM = 0.75


class MobileNetV3(InvertedResidualNet):
  """MobileNetV3; a family member gives its rows and the widths of its head.

  Attributes:
    last_width: channels of the target map, at width 1 (class attribute).
    hidden_width: channels that the linear layer reads (class attribute).
  """

  last_width: ClassVar[int]
  hidden_width: ClassVar[int]

  def activation(self, x):
    return nn.hard_swish(x)

  def setup(self):
    self.stem = self.layer(self.stem_width(), 3, stride=2)
    self.blocks = self.make_blocks()
    # Its number is part of its name in PyTorch.
    name = f'row{len(self.rows()) + 1}_last'
    self.last = self.layer(divisible(self.width * self.last_width), 1, name=name)
    self.hidden = linear(
      self.hidden_width,
      divisible(self.width * self.last_width),
      kernel_init=initializers.he_normal_fan_out,
      bias_init=nn.initializers.zeros,
    )
    self.classifier = self.make_classifier()

  @nn.nowrap
  def stem_width(self):
    return _STEM if self.width < _SCALED_STEM else divisible(self.width * _STEM)

  @nn.nowrap
  def make_squeeze(self, inputs, hidden, activation):
    del inputs, activation
    return functools.partial(SqueezeExcite, divisible(hidden / 4), nn.relu, nn.hard_sigmoid)

  def head(self, last, train=False):
    return self.activation(self.last(last, train))

  def classify(self, pooled):
    return self.classifier(self.activation(self.hidden(pooled)))


class MobileNetV3Small(MobileNetV3):
  """MobileNetV3-small."""

  last_width = 576
  hidden_width = 1024
  stages_of_rows = ((1,), (2,), (3, 4), (5,))

  @nn.nowrap
  def rows(self):
    return (
      Row((1,), 16, 3, 2, True, nn.relu),
      Row((4.5, 3.67), 24, 3, 2, False, nn.relu),
      Row((4, 6, 6), 40, 5, 2, True),
      Row((3, 3), 48, 5, 1, True),
      Row((6, 6, 6), 96, 5, 2, True),
    )


class MobileNetV3Large(MobileNetV3):
  """MobileNetV3-large."""

  last_width = 960
  hidden_width = 1280
  stages_of_rows = ((1, 2), (3,), (4, 5), (6,))

  @nn.nowrap
  def rows(self):
    return (
      Row((1,), 16, 3, 1, False, nn.relu),
      Row((4, 3), 24, 3, 2, False, nn.relu),
      Row((3, 3, 3), 40, 5, 2, True, nn.relu),
      Row((6, 2.5, 2.3, 2.3), 80, 3, 2),
      Row((6, 6), 112, 3, 1, True),
      Row((6, 6, 6), 160, 5, 2, True),
    )


MODELS = {
  'mobilenetv3_small_050': functools.partial(MobileNetV3Small, width=0.5),
  'mobilenetv3_small_075': functools.partial(MobileNetV3Small, width=0.75),
  'mobilenetv3_small_100': functools.partial(MobileNetV3Small, width=1.0),
  'mobilenetv3_large_100': functools.partial(MobileNetV3Large, width=1.0),
  'tf_mobilenetv3_small_075': functools.partial(MobileNetV3Small, width=0.75, tensorflow=True),
  'tf_mobilenetv3_small_100': functools.partial(MobileNetV3Small, width=1.0, tensorflow=True),
  'tf_mobilenetv3_large_075': functools.partial(MobileNetV3Large, width=0.75, tensorflow=True),
  'tf_mobilenetv3_large_100': functools.partial(MobileNetV3Large, width=1.0, tensorflow=True),
}
