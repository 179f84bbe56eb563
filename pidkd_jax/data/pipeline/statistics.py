"""What is computed from every example of a dataset: its fingerprint and its pixels' statistics."""

import hashlib
from collections.abc import Iterable

import numpy as np

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

_BLOCK = 1024


class Levels:
  """How often each of the 256 levels occurs in each channel.

  Attributes:
    counts: int64 [C, 256].
  """

  def __init__(self, channels: int):
    self.counts = np.zeros((channels, 256), np.int64)

  def add(self, images: np.ndarray) -> None:
    """Counts uint8 [B, H, W, C]."""
    for channel, counts in enumerate(self.counts):
      counts += np.bincount(images[..., channel].ravel(), minlength=256)


def normalisation(counts: np.ndarray) -> Normalisation:
  """Per-channel mean and standard deviation of pixels scaled to [0, 1], from `Levels.counts`.

  Exact, and a float copy of Tiny-ImageNet would take 5 GB. The deviation of a channel that is the
  same everywhere is given as 1, to divide by.
  """
  share = counts / counts.sum(axis=1, keepdims=True)
  levels = np.arange(256) / 255
  mean = share @ levels
  std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
  return Normalisation(tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))


class Fingerprint:
  """SHA-256 over arrays that come in parts, with their types and shapes."""

  def __init__(self):
    self._digest = hashlib.sha256()

  def add(self, dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
    """Adds one array, as its parts in order."""
    self._digest.update(f'{np.dtype(dtype).str}{tuple(shape)}'.encode())
    for part in parts:
      self._digest.update(np.ascontiguousarray(part).data)

  def hexdigest(self) -> str:
    return self._digest.hexdigest()


def levels(images: np.ndarray) -> np.ndarray:
  """`Levels.counts` of images in memory, uint8 [N, H, W, C]."""
  found = Levels(images.shape[-1])
  for start in range(0, len(images), _BLOCK):
    found.add(images[start : start + _BLOCK])
  return found.counts


def fingerprint(*splits: ResidentSplit) -> str:
  """SHA-256 (hex) over the images and labels of splits in memory."""
  found = Fingerprint()
  for split in splits:
    for array in (split.images, split.labels):
      found.add(array.dtype, array.shape, [array])
  return found.hexdigest()
