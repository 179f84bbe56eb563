"""Inverted residuals, and rows of them with squeeze-and-excitation for MobileNetV3, EfficientNet.

Source: Sandler et al. 2018, arXiv:1801.04381, Sec. 3.3, and Hu et al. 2018, arXiv:1709.01507.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.models.staged import Staged
from pidkd_jax.nn import initializers
from pidkd_jax.nn.batch_norm import EPSILON
from pidkd_jax.nn.convolution import fastest_depthwise
from pidkd_jax.nn.layers import Classifier, ConvNorm, conv
from pidkd_jax.nn.precision import to_float32

Activation = Callable[[jax.Array], jax.Array]

# TensorFlow's epsilon of BatchNorm.
TENSORFLOW_EPSILON = 1e-3
_DIVISOR = 8


@dataclasses.dataclass(frozen=True)
class Row:
  """Blocks of equal width.

  Attributes:
    expansions: how many times its input's channels each block is wide; 1 for a block that has no
      expanding convolution.
    channels: of the blocks' maps, at width 1.
    size: side of the depthwise kernels.
    stride: of the first block.
    squeezed: whether the blocks have squeeze-and-excitation.
    activation: of the blocks; None for the network's.
  """

  expansions: tuple[float, ...]
  channels: int
  size: int
  stride: int
  squeezed: bool = False
  activation: Activation | None = None


def divisible(channels: float) -> int:
  """Round to a multiple of 8, up where the nearest lies more than a tenth below.

  Source: the authors' code of MobileNetV2.

  Example:
    >>> divisible(88), divisible(11.9), divisible(50)
    (88, 16, 48)
  """
  nearest = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
  return nearest + _DIVISOR if nearest < 0.9 * channels else nearest


class SqueezeExcite(nn.Module):
  """Scale each channel by a function of all channels' means, [B, H, W, C] -> [B, H, W, C].

  Attributes:
    reduced: channels between the two layers.
    activation: between them.
    gate: behind the second.
  """

  reduced: int
  activation: Activation
  gate: Activation

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    y = jnp.mean(to_float32(x), axis=(1, 2), keepdims=True).astype(x.dtype)
    y = self.activation(conv(self.reduced, 1, bias=True, name='reduce')(y))
    return x * self.gate(conv(x.shape[-1], 1, bias=True, name='expand')(y))


class InvertedResidual(nn.Module):
  """1x1 to the expanded width, depthwise, squeeze-and-excitation, linear 1x1; and a shortcut.

  Attributes:
    features: channels of its map.
    hidden: the expanded width; None for a block without the first 1x1.
    size: side of the depthwise kernel.
    stride: of the depthwise convolution.
    activation: behind all convolutions but the last.
    layer: makes its convolutions with their norms.
    squeeze: makes its squeeze-and-excitation; None for none.
  """

  features: int
  hidden: int | None
  size: int
  stride: int
  activation: Activation
  layer: Callable[..., ConvNorm]
  squeeze: Callable[..., SqueezeExcite] | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the map twice, as no activation follows it."""
    y = x
    if self.hidden:
      y = self.activation(self.layer(self.hidden, 1, name='expand')(y, train))
    depthwise = self.layer(
      y.shape[-1],
      self.size,
      self.stride,
      groups=y.shape[-1],
      convolution=fastest_depthwise,
      name='depthwise',
    )
    y = self.activation(depthwise(y, train))
    if self.squeeze:
      y = self.squeeze(name='squeeze')(y)
    y = self.layer(self.features, 1, name='project')(y, train)
    if self.stride == 1 and x.shape[-1] == self.features:
      y = x + y
    return y, y


class InvertedResidualNet(Staged):
  """A stem of stride 2, rows of inverted residuals, a last 1x1 convolution and a classifier.

  A family defines `rows`, `stem_width` and `make_squeeze`.

  Attributes:
    width: the factor on the published channels.
    tensorflow: whether convolutions are padded, and norms stabilised, as in TensorFlow: 'SAME' and
      1e-3 in place of PyTorch's k // 2 and 1e-5.
    stages_of_rows: the rows of each stage, from 1 (class attribute).
  """

  width: float
  tensorflow: bool = False

  rectified = False
  stages_of_rows: ClassVar[Sequence[tuple[int, ...]]]

  @nn.nowrap
  def rows(self) -> Sequence[Row]:
    """Return the rows of blocks."""
    raise NotImplementedError(f'{type(self).__name__} does not define `rows`')

  @nn.nowrap
  def stem_width(self) -> int:
    """Return the channels of the stem."""
    raise NotImplementedError(f'{type(self).__name__} does not define `stem_width`')

  @nn.nowrap
  def make_squeeze(self, inputs: int, hidden: int, activation: Activation):
    """Return what makes the squeeze-and-excitation of a block.

    Args:
      inputs: channels of the block's input.
      hidden: channels that are scaled.
      activation: the block's.
    """
    raise NotImplementedError(f'{type(self).__name__} does not define `make_squeeze`')

  @property
  def depth(self) -> int:
    """One more than the convolutions larger than 1x1, by which state dicts are told apart."""
    return 2 + sum(len(row.expansions) for row in self.rows())

  @nn.nowrap
  def layer(self, features: int, size: int, stride: int = 1, groups: int = 1, **own) -> ConvNorm:
    """Make a convolution with its norm; `own` are settings of `ConvNorm`."""
    return ConvNorm(
      features,
      size,
      stride,
      groups,
      padding='SAME' if self.tensorflow else None,
      epsilon=TENSORFLOW_EPSILON if self.tensorflow else EPSILON,
      kernel_init=initializers.normal_of_groups(groups),
      **own,
    )

  @nn.nowrap
  def make_classifier(self) -> Classifier:
    """Make the classifier."""
    return Classifier(
      self.num_classes,
      kernel_init=initializers.uniform(self.num_classes**-0.5),
      bias_init=nn.initializers.zeros,
    )

  @nn.nowrap
  def make_blocks(self) -> list[list[InvertedResidual]]:
    """Make the blocks of each stage."""
    rows, inputs = [], self.stem_width()
    for number, row in enumerate(self.rows(), start=1):
      features = divisible(self.width * row.channels)
      blocks = []
      for i, expansion in enumerate(row.expansions):
        blocks.append(self._block(number, row, i, expansion, inputs, features))
        inputs = features
      rows.append(blocks)
    return [[block for row in stage for block in rows[row - 1]] for stage in self.stages_of_rows]

  def _block(self, number, row: Row, i: int, expansion: float, inputs: int, features: int):
    activation = row.activation or self.activation
    hidden = inputs if expansion == 1 else divisible(inputs * expansion)
    return InvertedResidual(
      features,
      None if expansion == 1 else hidden,
      row.size,
      1 if i else row.stride,
      activation,
      self.layer,
      self.make_squeeze(inputs, hidden, activation) if row.squeezed else None,
      name=f'row{number}_{"separable" if expansion == 1 else "block"}{i + 1}',
    )
