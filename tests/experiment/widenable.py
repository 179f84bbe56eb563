"""A small network whose widths are free."""

from flax import linen as nn

from pidkd_jax.nn.layers import Classifier, ConvNorm
from tests.plain import Plain


class Widenable(Plain):
  """`Plain` with other widths."""

  widths: tuple[int, int, int] = (12, 16, 20)

  def setup(self):
    strides = (1, 2, 2)
    self.convolutions = [
      ConvNorm(width, 3, stride) for width, stride in zip(self.widths, strides, strict=True)
    ]
    self.classifier = Classifier(self.num_classes)

  @nn.nowrap
  def widened(self, factor):
    return self.clone(widths=tuple(max(1, round(factor * width)) for width in self.widths))
