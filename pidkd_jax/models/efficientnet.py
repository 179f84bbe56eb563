"""EfficientNet and EfficientNet-Lite, with timm's names, parameters and outputs.

Lite has no squeeze-and-excitation, ReLU6 in place of SiLU, and a stem and a head of fixed width.
Those called `tf_...` are for weights that were trained in TensorFlow.

Source: Tan and Le 2019, arXiv:1905.11946, Table 1 and Sec. 3.3; Lite: the authors' code
(tensorflow/tpu, models/official/efficientnet/lite).
"""

import functools
import math

from flax import linen as nn

from pidkd_jax.models.inverted_residual import (
  InvertedResidualNet,
  Row,
  SqueezeExcite,
  divisible,
)

# (expansion, channels, kernel size, stride, blocks) of the seven rows of Table 1.
_ROWS = (
  (1, 16, 3, 1, 1),
  (6, 24, 3, 2, 2),
  (6, 40, 5, 2, 2),
  (6, 80, 3, 2, 3),
  (6, 112, 5, 1, 3),
  (6, 192, 5, 2, 4),
  (6, 320, 3, 1, 1),
)
_STEM, _HEAD = 32, 1280
# The factors (on channels, on blocks) of B0 to B7. Lite0 to Lite4 have those of B0 to B4.
_FACTORS = ((1, 1), (1, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2, 3.1))


class EfficientNet(InvertedResidualNet):
  """EfficientNet.

  Attributes:
    blocks_per_stage: the number of blocks in each of the seven rows of Table 1.
    squeezed: whether blocks have squeeze-and-excitation (class attribute).
  """

  blocks_per_stage: tuple[int, ...] = tuple(row[-1] for row in _ROWS)

  squeezed = True
  stages_of_rows = ((1, 2), (3,), (4, 5), (6, 7))

  def activation(self, x):
    return nn.silu(x)

  def setup(self):
    self.stem = self.layer(self.stem_width(), 3, stride=2)
    self.blocks = self.make_blocks()
    self.last = self.layer(self.head_width(), 1)
    self.classifier = self.make_classifier()

  @nn.nowrap
  def rows(self):
    return [
      Row((expansion,) * blocks, channels, size, stride, self.squeezed)
      for (expansion, channels, size, stride, _), blocks in zip(
        _ROWS, self.blocks_per_stage, strict=True
      )
    ]

  @nn.nowrap
  def stem_width(self):
    return divisible(self.width * _STEM)

  @nn.nowrap
  def head_width(self) -> int:
    """Return the channels of the target map."""
    return divisible(self.width * _HEAD)

  @nn.nowrap
  def make_squeeze(self, inputs, hidden, activation):
    del hidden
    return functools.partial(SqueezeExcite, round(inputs / 4), activation, nn.sigmoid)

  def head(self, last, train=False):
    return self.activation(self.last(last, train))


class EfficientNetLite(EfficientNet):
  """EfficientNet-Lite."""

  rectified = True
  squeezed = False

  def activation(self, x):
    return nn.relu6(x)

  @nn.nowrap
  def stem_width(self):
    return _STEM

  @nn.nowrap
  def head_width(self):
    return _HEAD


def _blocks(factor: float, fixed: tuple[int, ...] = ()) -> tuple[int, ...]:
  """Return the blocks of each row, of which `fixed` ones (from 0) are not multiplied."""
  return tuple(
    row[-1] if i in fixed else math.ceil(factor * row[-1]) for i, row in enumerate(_ROWS)
  )


def _members(names: str, family: type[EfficientNet], count: int, fixed=(), **settings):
  return {
    f'{names}{i}': functools.partial(
      family, width=float(width), blocks_per_stage=_blocks(factor, fixed), **settings
    )
    for i, (width, factor) in enumerate(_FACTORS[:count])
  }


MODELS = {
  **_members('efficientnet_b', EfficientNet, 6),
  **_members('tf_efficientnet_b', EfficientNet, 8, tensorflow=True),
  **_members('efficientnet_lite', EfficientNetLite, 1, (0, 6)),
  **_members('tf_efficientnet_lite', EfficientNetLite, 5, (0, 6), tensorflow=True),
}
