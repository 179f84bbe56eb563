"""The contract of a split."""

import abc
from collections.abc import Iterable
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.nn.precision import FLOAT32
from pidkd_jax.parallel import devices


class Split(abc.ABC):
  """A split of a dataset: labels in memory, images in memory or on disk.

  A split is immutable, and its labels and images have one order. Training reads it through
  `batches`, evaluation through `blocks`.

  Attributes:
    labels: int32 [N], the class of each image.
  """

  labels: np.ndarray

  @property
  @abc.abstractmethod
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C); every image is uint8 of this shape."""

  def __len__(self) -> int:
    return len(self.labels)

  @abc.abstractmethod
  def take(self, index: np.ndarray) -> Self:
    """Return a part of the split.

    Args:
      index: positions int [M], or a mask bool [N].
    """

  @abc.abstractmethod
  def blocks(self, size: int) -> Iterable[jax.Array]:
    """Return all images in order on the devices, in blocks uint8 [size, H, W, C].

    Zeros fill the last block up. Each iteration goes through the whole split.

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
    padding: int,
    flip: bool,
    dtype: jnp.dtype = FLOAT32.dtype,
  ) -> Batches:
    """Return training batches: shuffled, cropped, mirrored and normalised.

    Args:
      normalisation: per-channel statistics of the pixels.
      key: PRNG key of order, crops and flips.
      batch_size: B.
      padding: pixels of zero padding for the random crop; 0 for no crop.
      flip: whether images are mirrored at random.
      dtype: the type of the batches' images.

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
        image_shape=self.image_shape,
        batch_size=batch_size,
        padding=padding,
        flip=flip,
        dtype=dtype,
      )
    )
