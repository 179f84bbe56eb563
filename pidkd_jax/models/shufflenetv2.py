"""ShuffleNetV2 for small images: channel splits, and a last 1x1 convolution.

`ShuffleV2` has the channels of the paper's 1x and `ShuffleV2_1_5` those of its 1.5x, both with a
1x1 stem of stride 1 as in RepDistiller, mdistiller and SimKD. A student distils from the last
stage; the last convolution is the head.

Source: Ma et al. 2018, arXiv:1807.11164, Table 5.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.convolution import fastest_depthwise
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import Classifier, ConvNorm, shuffle

# Units of each stage behind the first, which halves the resolution.
_UNITS = (3, 7, 3)
# The published code leaves the initialisation to PyTorch's default.
_ConvNorm = functools.partial(ConvNorm, kernel_init=pytorch_default)


def _depthwise(features: int, stride: int, name: str) -> ConvNorm:
  return _ConvNorm(features, 3, stride, groups=features, convolution=fastest_depthwise, name=name)


class SplitUnit(nn.Module):
  """Half of the channels pass, half go through 1x1, depthwise 3x3, 1x1; then a shuffle."""

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the map after the last ReLU, and before it."""
    passed, y = jnp.split(x, 2, axis=-1)
    half = y.shape[-1]
    y = nn.relu(_ConvNorm(half, 1, name='first')(y, train))
    y = _depthwise(half, 1, name='depthwise')(y, train)
    y = _ConvNorm(half, 1, name='second')(y, train)
    # The half that passed is behind a ReLU already.
    after, before = (shuffle(jnp.concatenate([passed, z], axis=-1), 2) for z in (nn.relu(y), y))
    return after, before


class DownUnit(nn.Module):
  """Two strided branches over all channels, concatenated and shuffled.

  Attributes:
    features: channels of its map.
  """

  features: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the map after its ReLU, and before it."""
    half = self.features // 2
    left = _depthwise(x.shape[-1], 2, name='left_depthwise')(x, train)
    left = _ConvNorm(half, 1, name='left')(left, train)
    right = nn.relu(_ConvNorm(half, 1, name='right_first')(x, train))
    right = _depthwise(half, 2, name='right_depthwise')(right, train)
    right = _ConvNorm(half, 1, name='right_second')(right, train)
    y = shuffle(jnp.concatenate([left, right], axis=-1), 2)
    return nn.relu(y), y


class ShuffleNetV2(Staged):
  """ShuffleNetV2.

  Attributes:
    widths: channels of the three stages and of the head.
  """

  widths: tuple[int, int, int, int]

  def setup(self):
    *widths, head = self.widths
    self.stem = _ConvNorm(24, 1)
    self.blocks = [
      [
        DownUnit(width, name=f'stage{stage}_down'),
        *(SplitUnit(name=f'stage{stage}_block{block}') for block in range(1, count + 1)),
      ]
      for stage, (width, count) in enumerate(zip(widths, _UNITS, strict=True), start=1)
    ]
    self.last = _ConvNorm(head, 1)
    self.classifier = Classifier(self.num_classes)

  def head(self, last, train=False):
    return nn.relu(self.last(last, train))


MODELS = {
  'ShuffleV2': functools.partial(ShuffleNetV2, widths=(116, 232, 464, 1024)),
  'ShuffleV2_1_5': functools.partial(ShuffleNetV2, widths=(176, 352, 704, 1024)),
}
