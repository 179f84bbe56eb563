"""ShuffleNetV1 for small images: grouped 1x1 convolutions with channel shuffles between them.

`ShuffleV1` has three groups, and a 1x1 stem of stride 1 as in RepDistiller, mdistiller and SimKD.

Source: Zhang et al. 2018, arXiv:1707.01083, Table 1.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.convolution import fastest_depthwise, grouped_by_dot
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import Classifier, ConvNorm, shuffle

# The number of units in each of the three stages, Table 1.
_UNITS = (4, 8, 4)

# The published code leaves the initialisation to PyTorch's default.
_ConvNorm = functools.partial(ConvNorm, kernel_init=pytorch_default)


class ShuffleUnit(nn.Module):
  """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1, with a shortcut.

  At stride 1 the input is added; at stride 2 the pooled input is concatenated.

  Attributes:
    features: channels of its map.
    stride: of the depthwise convolution.
    groups: of the last 1x1 convolution.
    input_groups: of the first 1x1 convolution and the shuffle.
  """

  features: int
  stride: int
  groups: int
  input_groups: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Return the map after its ReLU, and before it."""
    added = self.features - x.shape[-1] if self.stride > 1 else self.features
    hidden = added // 4
    grouped = functools.partial(_ConvNorm, convolution=grouped_by_dot)
    y = nn.relu(grouped(hidden, 1, groups=self.input_groups, name='reduce')(x, train))
    y = shuffle(y, self.input_groups)
    depthwise = _ConvNorm(
      hidden, 3, self.stride, groups=hidden, convolution=fastest_depthwise, name='depthwise'
    )
    y = nn.relu(depthwise(y, train))
    y = grouped(added, 1, groups=self.groups, name='expand')(y, train)
    if self.stride > 1:
      # Pad in a step of its own: jax2onnx drops the padding of a pooling.
      x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
      x = nn.avg_pool(x, window_shape=(3, 3), strides=(2, 2))
      y = jnp.concatenate([y, x], axis=-1)
    else:
      y = y + x
    return nn.relu(y), y


class ShuffleNetV1(Staged):
  """ShuffleNetV1.

  Attributes:
    groups: the number of groups of the 1x1 convolutions.
    widths: channels of the three stages.
  """

  groups: int
  widths: tuple[int, int, int]

  def setup(self):
    self.stem = _ConvNorm(24, 1)
    self.blocks = [
      [
        ShuffleUnit(
          width,
          2 if block == 1 else 1,
          self.groups,
          # The very first reads the stem, which has too few channels for groups.
          1 if (stage, block) == (1, 1) else self.groups,
          name=f'stage{stage}_block{block}',
        )
        for block in range(1, count + 1)
      ]
      for stage, (width, count) in enumerate(zip(self.widths, _UNITS, strict=True), start=1)
    ]
    self.classifier = Classifier(self.num_classes)


MODELS = {'ShuffleV1': functools.partial(ShuffleNetV1, groups=3, widths=(240, 480, 960))}
