"""A split whose images are in memory."""

import dataclasses
from collections.abc import Iterable

import jax
import numpy as np

from pidkd_jax.data.pipeline.resident_batches import ResidentBatches
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.parallel import devices


@dataclasses.dataclass(frozen=True, eq=False)
class ResidentSplit(Split):
  """A split in memory.

  Attributes:
    images: uint8 [N, H, W, C].
    labels: int32 [N].
    side: as `Split` says.
    size: as `Split` says.
  """

  batches_of = ResidentBatches
  images: np.ndarray
  labels: np.ndarray
  side: int = 0
  size: int = 0

  @property
  def stored_shape(self) -> tuple[int, int, int]:
    return self.images.shape[1:]

  @property
  def larger(self) -> 'ResidentSplit':
    return dataclasses.replace(self, size=0) if self.size else self

  def take(self, index: np.ndarray) -> 'ResidentSplit':
    return dataclasses.replace(self, images=self.images[index], labels=self.labels[index])

  def relabelled(self, labels: np.ndarray) -> 'ResidentSplit':
    return dataclasses.replace(self, labels=labels)

  def joined(self, other: 'ResidentSplit') -> 'ResidentSplit':
    return ResidentSplit(
      np.concatenate([self.images, other.images]),
      np.concatenate([self.labels, other.labels]),
      self.side,
      self.size,
    )

  def blocks(self, size: int) -> Iterable[jax.Array]:
    # One transfer for all blocks.
    rows, columns = self.middle
    images = np.pad(self.images[:, rows, columns], ((0, -len(self) % size), (0, 0), (0, 0), (0, 0)))
    blocks = devices.put_replicated(images.reshape(-1, size, *self.seen_shape))
    return [self.sized(block) for block in blocks] if self.size else blocks

  def held_bytes(self, batch_size: int) -> int:
    del batch_size  # All images are held.
    return self.images.nbytes

  def scheduled(self, schedule: Schedule) -> ResidentBatches:
    rows = self.images.reshape(len(self.images), -1)
    return ResidentBatches(schedule, devices.put_replicated(rows))
