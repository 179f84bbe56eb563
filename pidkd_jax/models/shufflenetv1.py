"""ShuffleNetV1 for small images: grouped 1x1 convolutions with channel shuffles between them.

Source: Zhang et al. 2018, arXiv:1707.01083, Table 1 at three groups, with a 1x1 stem of stride 1,
as RepDistiller, mdistiller and SimKD have it.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.models.staged import Staged
from pidkd_jax.nn.convolution import depthwise_by_shift, grouped_by_dot
from pidkd_jax.nn.initializers import pytorch_default
from pidkd_jax.nn.layers import Classifier, ConvNorm, shuffle

# Units in each of the three stages, Table 1.
_UNITS = (4, 8, 4)

# The published code leaves initialisation to PyTorch.
_ConvNorm = functools.partial(ConvNorm, kernel_init=pytorch_default)


class ShuffleUnit(nn.Module):
  """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; joined to the pooled input if strided."""

  features: int
  stride: int
  groups: int
  input_groups: int

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    added = self.features - x.shape[-1] if self.stride > 1 else self.features
    hidden = added // 4
    grouped = functools.partial(_ConvNorm, convolution=grouped_by_dot)
    y = nn.relu(grouped(hidden, 1, groups=self.input_groups, name='reduce')(x, train))
    y = shuffle(y, self.input_groups)
    depthwise = _ConvNorm(
      hidden, 3, self.stride, groups=hidden, convolution=depthwise_by_shift, name='depthwise'
    )
    y = nn.relu(depthwise(y, train))
    y = grouped(added, 1, groups=self.groups, name='expand')(y, train)
    if self.stride > 1:
      # Padded apart: jax2onnx takes a pooling that pads for one that does not.
      x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
      x = nn.avg_pool(x, window_shape=(3, 3), strides=(2, 2))
      y = jnp.concatenate([y, x], axis=-1)
    else:
      y = y + x
    return nn.relu(y), y


class ShuffleNetV1(Staged):
  """ShuffleNetV1.

  Attributes:
    groups: of the 1x1 convolutions.
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
          # The first of all reads the stem, whose channels are too few for groups.
          1 if (stage, block) == (1, 1) else self.groups,
          name=f'stage{stage}_block{block}',
        )
        for block in range(1, count + 1)
      ]
      for stage, (width, count) in enumerate(zip(self.widths, _UNITS, strict=True), start=1)
    ]
    self.classifier = Classifier(self.num_classes)


MODELS = {'ShuffleV1': functools.partial(ShuffleNetV1, groups=3, widths=(240, 480, 960))}
