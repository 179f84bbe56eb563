"""The contract of every network: an encoder in two parts and a classifier."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Features
from pidkd_jax.nn.precision import to_float32


class Model(nn.Module):
  """A classifier of images in three parts: `stages`, `head`, `classify`.

  A family defines `classify` and `stages`, or `trunk` in place of `stages` where it can tell maps
  from what they were before their activation. A caller runs only the parts that it needs, and
  initialisation creates the parameters of only those parts; so submodules are defined in `setup`.
  Any image size and class count will do.

  Attributes:
    num_classes: K.
    rectified: whether the target map is behind a ReLU (class attribute of a family).
    aligned: whether the target map is made to equal a teacher's, so that their distance
      means something (class attribute).
  """

  num_classes: int

  rectified = True
  aligned = False

  def trunk(self, image: jax.Array, train: bool) -> tuple[tuple, tuple]:
    """The stem's and each stage's map, and the same before their last activation.

    By default the maps stand for both.

    Args:
      image: float [B, H, W, C], normalised.
      train: whether BatchNorm uses (and updates from) the batch's statistics.

    Returns:
      (maps, preactivations), two tuples of [B, H_i, W_i, C_i].
    """
    maps = tuple(self.stages(image, train))
    return maps, maps

  def stages(self, image: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
    """The stem's and each stage's map, [B, H_i, W_i, C_i]."""
    return self.trunk(image, train)[0]

  def distillation_map(self, last: jax.Array, train: bool = False) -> jax.Array:
    """The last stage's map -> the map that a student distils from: itself for most.

    A family whose stages end in a raw sum (pre-activation) gives its activation.
    """
    del train
    return last

  def head(self, last: jax.Array, train: bool = False) -> jax.Array:
    """The last stage's map -> the map whose spatial mean the classifier reads."""
    del train
    return last

  def classify(self, pooled: jax.Array) -> jax.Array:
    """Spatial mean of the target map [..., C] -> logits [..., K]."""
    raise NotImplementedError

  def encode(self, image: jax.Array, train: bool = False) -> Features:
    """Everything up to the classifier."""
    maps, preactivations = self.trunk(image, train)
    target = self.head(maps[-1], train)
    return Features(maps, preactivations, target, pool(target), self.rectified)

  @nn.nowrap
  def widened(self, factor: float) -> 'Model':
    """The same network with `factor` times the channels, rounded.

    Raises:
      UserError: the family's widths are not free.
    """
    raise UserError(
      f'{type(self).__name__} cannot be widened by {factor}; CIFAR ResNets (resnet8, ...) can'
    )

  def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
    """Image [B, H, W, C] -> logits [B, K]."""
    return self.classify(self.encode(image, train).pooled)


def pool(target: jax.Array) -> jax.Array:
  """Spatial mean, [B, H, W, C] -> float32 [B, C]."""
  return jnp.mean(to_float32(target), axis=(1, 2))
