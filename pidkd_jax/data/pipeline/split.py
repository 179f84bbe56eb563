"""The contract of a split."""

import abc
import functools
from collections.abc import Iterable
from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core import image as image_lib
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline import augment
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.data.pipeline.soft_labels import SoftLabels
from pidkd_jax.nn.image_policies import Policy
from pidkd_jax.nn.precision import FLOAT32
from pidkd_jax.parallel import devices


@functools.partial(jax.jit, static_argnums=1)
def _rounded(images: jax.Array, size: tuple[int, int]) -> jax.Array:
  values = augment.resample(images.astype(jnp.float32), size)
  return jnp.clip(jnp.round(values), 0, 255).astype(jnp.uint8)


class Split(abc.ABC):
  """A split of a dataset: labels in memory, images in memory or on disk.

  A split is immutable, and its labels and images have one order. Training reads it through
  `batches`, evaluation through `blocks`.

  Attributes:
    batches_of: the class of its training batches.
    labels: int32 [N], the class of each image; -1 for an image without a label.
    side: H and W of the images that networks see. Training takes a random part of a stored image,
      evaluation the middle. 0 where images are stored as they are seen.
    size: H and W to which students' images are resampled, where the teacher sees larger ones; 0
      where all networks see the same size.
  """

  batches_of: ClassVar[type[Batches]]
  labels: np.ndarray
  side: int
  size: int

  @property
  @abc.abstractmethod
  def stored_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the stored images, all of them uint8."""

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the images that students see."""
    height, width, channels = self.seen_shape
    return (self.size or height, self.size or width, channels)

  @property
  def seen_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the images that the teacher sees."""
    height, width, channels = self.stored_shape
    return (self.side or height, self.side or width, channels)

  @property
  @abc.abstractmethod
  def larger(self) -> Self:
    """The split as the teacher sees it."""

  @property
  def middle(self) -> tuple[slice, slice]:
    """The rows and the columns of a stored image that evaluation sees."""
    height, width, _ = self.stored_shape
    return (
      image_lib.middle(height, self.side or height),
      image_lib.middle(width, self.side or width),
    )

  def sized(self, images: jax.Array) -> jax.Array:
    """Resample images that the teacher sees to those of students, both uint8 [B, H, W, C]."""
    if not self.size:
      return images
    return _rounded(images, self.image_shape[:2])

  def __len__(self) -> int:
    return len(self.labels)

  @abc.abstractmethod
  def take(self, index: np.ndarray) -> Self:
    """Return a part of the split.

    Args:
      index: positions int [M], or a mask bool [N].
    """

  @abc.abstractmethod
  def relabelled(self, labels: np.ndarray) -> Self:
    """Return the same images with other labels, int32 [N]."""

  @abc.abstractmethod
  def joined(self, other: Self) -> Self:
    """Return the images of both splits, those of `other` last.

    Args:
      other: a split of the same kind, with stored images of the same shape.
    """

  @abc.abstractmethod
  def blocks(self, size: int) -> Iterable[jax.Array]:
    """Return the middles of all images on the devices, in blocks uint8 [size, H, W, C].

    They are in order. Zeros fill the last block up. Each iteration goes through the whole split.

    Raises:
      UserError: while iterating, the images are read from files and a file is damaged.
    """

  @abc.abstractmethod
  def held_bytes(self, batch_size: int) -> int:
    """Return the bytes of images that a training with this batch size holds at once."""

  @abc.abstractmethod
  def scheduled(self, schedule: Schedule) -> Batches:
    """Return the training batches of a schedule made for this split."""

  def batches(
    self,
    normalisation: Normalisation,
    key: jax.Array,
    *,
    batch_size: int,
    padding: int = 0,
    flip: bool,
    dtype: jnp.dtype = FLOAT32.dtype,
    crop: augment.Crop | None = None,
    soft_labels: SoftLabels | None = None,
    policy: Policy | None = None,
  ) -> Batches:
    """Return training batches: shuffled, cropped, mirrored and normalised.

    Args:
      normalisation: per-channel statistics of the pixels.
      key: PRNG key of order, crops and flips.
      batch_size: B.
      padding: pixels of zero padding for the random crop.
      flip: whether images are mirrored at random.
      dtype: the type of the batches' images.
      crop: another crop, such as `augment.ResizedCrop`, in place of the padded one.
      soft_labels: smooths labels and mixes images; None leaves each image its class.
      policy: random operations, such as `nn.image_policies.TrivialAugment()`; None for none.

    Example:
      >>> from pidkd_jax.data import noise
      >>> data = noise.dataset(size=64, image_size=8, num_classes=10)
      >>> key, normalisation = jax.random.key(0), data.spec.normalisation
      >>> batches = data.train.batches(normalisation, key, batch_size=16, padding=1, flip=True)
      >>> batches.batch(batches.order(0), 0).image.shape
      (16, 8, 8, 3)
    """
    return self.scheduled(
      Schedule(
        labels=devices.put_replicated(self.labels),
        normalisation=devices.put_replicated(normalisation.arrays()),
        key=devices.put_replicated(key),
        stored_shape=self.stored_shape,
        seen_shape=self.seen_shape,
        image_shape=self.image_shape,
        batch_size=batch_size,
        crop=augment.PaddedCrop(padding) if crop is None else crop,
        flip=flip,
        dtype=dtype,
        soft_labels=soft_labels,
        policy=policy,
      )
    )
