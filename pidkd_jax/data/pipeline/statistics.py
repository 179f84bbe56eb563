"""Statistics of all examples: the fingerprint of a dataset, and the normalisation of its pixels."""

import hashlib
from collections.abc import Iterable

import numpy as np

from pidkd_jax.core.normalisation import LEAST_STD, Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

# Images counted at once, to bound the memory.
_BLOCK = 1024


class Histogram:
  """Counts the pixels of each channel at each of the 256 levels.

  Attributes:
    counts: int64 [C, 256].
  """

  def __init__(self, channels: int):
    self.counts = np.zeros((channels, 256), np.int64)

  def add(self, images: np.ndarray) -> None:
    """Count the pixels of images, uint8 [B, H, W, C]."""
    for channel, counts in enumerate(self.counts):
      counts += np.bincount(images[..., channel].ravel(), minlength=256)


def histogram(images: np.ndarray) -> np.ndarray:
  """Return `Histogram.counts` of images in memory, uint8 [N, H, W, C]."""
  result = Histogram(images.shape[-1])
  for start in range(0, len(images), _BLOCK):
    result.add(images[start : start + _BLOCK])
  return result.counts


def normalisation(counts: np.ndarray) -> Normalisation:
  """Return the mean and standard deviation of each channel's pixels, scaled to [0, 1].

  The result is exact. A histogram also saves a float copy of the images (5 GB for Tiny-ImageNet).
  Where all pixels of a channel are equal, or all but a few in millions, its deviation is given as
  1, because images are divided by it.

  Args:
    counts: int64 [C, 256], a histogram.

  Example:
    >>> statistics = normalisation(histogram(np.uint8([[[[0], [255]]]])))
    >>> statistics.mean, statistics.std
    ((0.5,), (0.5,))
  """
  share = counts / counts.sum(axis=1, keepdims=True)
  levels = np.arange(256) / 255
  mean = share @ levels
  std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
  return Normalisation(tuple(mean.tolist()), tuple(np.where(std < LEAST_STD, 1.0, std).tolist()))


class Fingerprint:
  """SHA-256 over arrays with their types and shapes; an array may come in parts."""

  def __init__(self):
    self._digest = hashlib.sha256()

  def add(self, dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Add one array.

    Args:
      dtype: the array's type.
      shape: the array's shape.
      parts: the array in parts along its first axis, in order.
    """
    self._digest.update(f'{np.dtype(dtype).str}{tuple(shape)}'.encode())
    for part in parts:
      self._digest.update(np.ascontiguousarray(part).data)

  def hexdigest(self) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return self._digest.hexdigest()


def fingerprint(*splits: ResidentSplit) -> str:
  """Return the SHA-256 (hex) over the images and labels of splits in memory."""
  result = Fingerprint()
  for split in splits:
    for array in (split.images, split.labels):
      result.add(array.dtype, array.shape, [array])
  return result.hexdigest()
