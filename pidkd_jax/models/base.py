"""The contract of every model: an encoder in two parts and a classifier."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Features
from pidkd_jax.nn.precision import to_float32


class Model(nn.Module):
  """An image classifier in three parts: `stages`, `head` and `classify`.

  A family of models is a subclass. It must define

  - `classify`, the pooled feature [..., C] -> logits [..., K];
  - `stages`, an image -> the stem's and each stage's map; or, in its place, `trunk`, which also
    returns each map before its activation.

  It may define

  - `head`, where a layer lies between the last stage and the classifier;
  - `distillation_map`, where a student distils from another map than its last stage's;
  - `widened`, where its widths are free.

  Rules for a family:

  - Submodules are defined in `setup`. A caller runs only the parts that it needs, and
    initialisation creates the parameters of only those parts.
  - Any image size and any number of classes work.
  - All fields but `num_classes` have defaults where the class is to be named 'module:Class'.
  - Fields are finite numbers, texts, models, None, or tuples of numbers and texts, so that a
    bundle can hold them.

  In return, `encode` and `__call__` work, and a call equals `classify(encode(image).pooled)`.

  Attributes:
    num_classes: K.
    rectified: whether the target map is behind a ReLU (a class attribute of the family).
    aligned: whether the target map is trained to equal a teacher's, so that their distance
      means something (a class attribute).
    untraced_multiply_adds: of one image, in an encoder that JAX cannot look into (a class
      attribute).

  Example:
    >>> class Tiny(Model):
    ...   def setup(self):
    ...     self.first = nn.Conv(16, (3, 3), strides=2)
    ...     self.second = nn.Conv(32, (3, 3), strides=2)
    ...     self.linear = nn.Dense(self.num_classes)
    ...
    ...   def stages(self, image, train=False):
    ...     first = nn.relu(self.first(image))
    ...     return first, nn.relu(self.second(first))
    ...
    ...   def classify(self, pooled):
    ...     return self.linear(pooled)
  """

  num_classes: int

  rectified = True
  aligned = False
  untraced_multiply_adds = 0

  def trunk(self, image: jax.Array, train: bool) -> tuple[tuple, tuple]:
    """Compute the stem's and each stage's map, and the same maps before their last activation.

    The default returns `stages` for both.

    Args:
      image: float [B, H, W, C], normalised.
      train: whether BatchNorm uses, and updates from, the batch's statistics.

    Returns:
      (maps, preactivations), two tuples of [B, H_i, W_i, C_i].
    """
    if type(self).stages is Model.stages:  # Its default calls `trunk`.
      raise NotImplementedError(f'{type(self).__name__} defines neither `stages` nor `trunk`')
    maps = tuple(self.stages(image, train))
    return maps, maps

  def stages(self, image: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
    """Compute the stem's and each stage's map, each [B, H_i, W_i, C_i]."""
    return self.trunk(image, train)[0]

  def distillation_map(self, last: jax.Array, train: bool = False) -> jax.Array:
    """Return the map that a student distils from, given the last stage's map.

    The default is the last stage's map itself. A family whose stages end in a raw sum
    (pre-activation) returns its activation.
    """
    del train
    return last

  def head(self, last: jax.Array, train: bool = False) -> jax.Array:
    """Compute the target map, whose spatial mean the classifier reads, from the last stage's."""
    del train
    return last

  def classify(self, pooled: jax.Array) -> jax.Array:
    """Classify the spatial mean of the target map, [..., C] -> logits [..., K]."""
    raise NotImplementedError(f'{type(self).__name__} does not define `classify`')

  def encode(self, image: jax.Array, train: bool = False) -> Features:
    """Run everything up to the classifier, [B, H, W, C] -> Features."""
    maps, preactivations = self.trunk(image, train)
    target = self.head(maps[-1], train)
    return Features(maps, preactivations, target, pool(target), self.rectified)

  @nn.nowrap
  def widened(self, factor: float) -> 'Model':
    """Return the same model with `factor` times the channels, rounded.

    Raises:
      UserError: the family's widths are fixed.
    """
    raise UserError(
      f'{type(self).__name__} cannot be widened by {factor}; ResNets of CIFAR (resnet8, ...), '
      'ConvNeXt and ViT can'
    )

  def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
    """Classify images, [B, H, W, C] -> logits [B, K]."""
    return self.classify(self.encode(image, train).pooled)


def missing_method(family: type[Model]) -> str | None:
  """Return the name of a method that `family` must define and does not, or None."""
  if family.stages is Model.stages and family.trunk is Model.trunk:
    return 'stages'
  return 'classify' if family.classify is Model.classify else None


def pool(target: jax.Array) -> jax.Array:
  """Return a map's spatial mean, [B, H, W, C] -> float32 [B, C]."""
  return jnp.mean(to_float32(target), axis=(1, 2))
