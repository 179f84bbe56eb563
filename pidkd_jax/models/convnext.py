"""ConvNeXt: a convolutional network in the form of a transformer, with LayerNorm.

Names, parameters and outputs are timm's. Sizes -atto to -nano are timm's own; -tiny, -small and
-base are the paper's. The classifier takes the norm of the pooled feature, not of the map.

Source: Liu et al. 2022, arXiv:2201.03545, Sec. 2 and Fig. 4.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.models.base import Model
from pidkd_jax.nn import convolution
from pidkd_jax.nn.initializers import normal_of
from pidkd_jax.nn.layer_norm import LayerNorm
from pidkd_jax.nn.layers import conv
from pidkd_jax.nn.mlp import Mlp, dense

# The side of a block's depthwise kernel, and how much wider its perceptron is.
_KERNEL = 7
_EXPANSION = 4
_LAYER_SCALE = 1e-6
_STEM_STRIDE = 4


class Patches(nn.Module):
  """A convolution whose kernel is as large as its stride, [B, H, W, C] -> [B, H/s, W/s, M].

  Rows and columns that do not fill a patch are left out, as in timm. A side smaller than a patch
  is filled up with zeros.

  Attributes:
    features: M, the output channels.
    size: s, the side of a patch.
  """

  features: int
  size: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    missing = [max(0, self.size - side) for side in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), *((0, count) for count in missing), (0, 0)))
    layer = conv(
      self.features,
      self.size,
      self.size,
      bias=True,
      padding=0,
      kernel_init=normal_of(0.02),
      name='conv',
    )
    return layer(x)


class Block(nn.Module):
  """Depthwise 7x7, LayerNorm, a perceptron and a scale for each channel, with a shortcut."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W, C]."""
    channels = x.shape[-1]
    depthwise = conv(
      channels,
      _KERNEL,
      groups=channels,
      bias=True,
      convolution=convolution.fastest_depthwise,
      kernel_init=normal_of(0.02),
      name='depthwise',
    )
    y = Mlp(_EXPANSION * channels, name='mlp')(LayerNorm(name='norm')(depthwise(x)))
    return x + LayerScale(name='layer_scale')(y)


class LayerScale(nn.Module):
  """A trained factor for each channel, from 1e-6, [..., C] -> [..., C].

  Source: Touvron et al. 2021, arXiv:2103.17239, Sec. 2.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    gamma = self.param('gamma', nn.initializers.constant(_LAYER_SCALE), x.shape[-1:])
    return x * gamma.astype(x.dtype)


class Stem(nn.Module):
  """Patches of 4x4 and LayerNorm.

  Attributes:
    features: channels of its map.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, 3] -> [B, H/4, W/4, C]."""
    return LayerNorm(name='norm')(Patches(self.features, _STEM_STRIDE, name='patches')(x))


class Down(nn.Module):
  """LayerNorm and patches of 2x2, between two stages.

  Attributes:
    features: channels of its map.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H/2, W/2, M]."""
    return Patches(self.features, 2, name='patches')(LayerNorm(name='norm')(x))


class NormedClassifier(nn.Module):
  """LayerNorm and a linear layer, [..., C] -> logits [..., K].

  Attributes:
    num_classes: K.
  """

  num_classes: int

  @nn.compact
  def __call__(self, pooled: jax.Array) -> jax.Array:
    return dense(self.num_classes, name='linear')(LayerNorm(name='norm')(pooled))


class ConvNeXt(Model):
  """ConvNeXt of four stages. Its maps are sums of shortcuts, so none is behind a ReLU.

  Attributes:
    blocks_per_stage: the number of blocks in each of the four stages.
    widths: channels of the four stages; the stem has those of the first.
  """

  blocks_per_stage: tuple[int, int, int, int]
  widths: tuple[int, int, int, int]

  rectified = False

  def setup(self):
    self.stem = Stem(self.widths[0])
    self.downs = [
      Down(width, name=f'stage{stage}_down') for stage, width in enumerate(self.widths[1:], start=2)
    ]
    self.blocks = [
      [Block(name=f'stage{stage}_block{block + 1}') for block in range(count)]
      for stage, count in enumerate(self.blocks_per_stage, start=1)
    ]
    self.classifier = NormedClassifier(self.num_classes)

  def stages(self, image, train=False):
    del train
    maps = [self.stem(image)]
    for down, blocks in zip((None, *self.downs), self.blocks, strict=True):
      x = down(maps[-1]) if down else maps[-1]
      for block in blocks:
        x = block(x)
      maps.append(x)
    return tuple(maps)

  def classify(self, pooled):
    return self.classifier(pooled)

  @nn.nowrap
  def widened(self, factor):
    return self.clone(widths=tuple(max(1, round(factor * width)) for width in self.widths))


# {size: (blocks of each stage, channels of the first stage, doubled from stage to stage)}.
_SIZES = {
  'atto': ((2, 2, 6, 2), 40),
  'femto': ((2, 2, 6, 2), 48),
  'pico': ((2, 2, 6, 2), 64),
  'nano': ((2, 2, 8, 2), 80),
  'tiny': ((3, 3, 9, 3), 96),
  'small': ((3, 3, 27, 3), 96),
  'base': ((3, 3, 27, 3), 128),
}

MODELS = {
  f'convnext_{size}': functools.partial(
    ConvNeXt, blocks_per_stage=blocks, widths=(width, 2 * width, 4 * width, 8 * width)
  )
  for size, (blocks, width) in _SIZES.items()
}
