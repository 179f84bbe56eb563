"""A split whose images stay on disk."""

import dataclasses
import math
from collections.abc import Iterator

import jax
import numpy as np

from pidkd_jax.data.pipeline.example_reader import PREFETCHED_BATCHES, ExampleReader
from pidkd_jax.data.pipeline.joined_reader import JoinedReader
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.data.pipeline.streamed_batches import StreamedBatches
from pidkd_jax.parallel import devices


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedSplit(Split):
  """A split on disk, of which only the labels are in memory.

  Attributes:
    reader: reads the examples of the prepared split.
    labels: int32 [N].
    positions: int64 [N], where the examples lie in the prepared split.
    side: as `Split` says.
    size: as `Split` says.
  """

  batches_of = StreamedBatches
  reader: ExampleReader
  labels: np.ndarray
  positions: np.ndarray
  side: int = 0
  size: int = 0

  @property
  def stored_shape(self) -> tuple[int, int, int]:
    return self.reader.split.image_shape

  @property
  def larger(self) -> 'StreamedSplit':
    return dataclasses.replace(self, size=0) if self.size else self

  def take(self, index: np.ndarray) -> 'StreamedSplit':
    return dataclasses.replace(self, labels=self.labels[index], positions=self.positions[index])

  def relabelled(self, labels: np.ndarray) -> 'StreamedSplit':
    return dataclasses.replace(self, labels=labels)

  def joined(self, other: 'StreamedSplit') -> 'StreamedSplit':
    return StreamedSplit(
      JoinedReader(self.reader.split, other.reader),
      np.concatenate([self.labels, other.labels]),
      np.concatenate([self.positions, other.positions + len(self.reader.split)]),
      self.side,
      self.size,
    )

  def blocks(self, size: int) -> '_Blocks':
    return _Blocks(self, size)

  def held_bytes(self, batch_size: int) -> int:
    # Prefetched, plus the batch in use and the next one, which are on the devices.
    return (PREFETCHED_BATCHES + 2) * batch_size * math.prod(self.stored_shape)

  def scheduled(self, schedule: Schedule) -> StreamedBatches:
    return StreamedBatches(schedule, self.read)

  def read(self, index: np.ndarray) -> Iterator[jax.Array]:
    """Read batches of images onto the devices, one batch ahead of the one in use.

    Each device holds its shard of a batch. Each process reads and decodes only the shards of its
    own devices.

    Args:
      index: int [batches, B], positions in this split, or -1 for a black image.

    Yields:
      uint8 [B, H, W, C].
    """
    size = index.shape[1]
    local = devices.local_indices(size)
    positions = np.where(index < 0, -1, self.positions[index])[:, local]
    ahead = None
    for images, _ in self.reader.stream(positions):
      sharded = devices.put_sharded(images, local, size)
      if ahead is not None:
        yield ahead
      ahead = sharded
    if ahead is not None:
      yield ahead


@dataclasses.dataclass(frozen=True, eq=False)
class _Blocks:
  """A split in blocks, which each iteration reads anew."""

  split: StreamedSplit
  size: int

  def __iter__(self) -> Iterator[jax.Array]:
    count = len(self.split)
    index = np.arange(-(-count // self.size) * self.size)
    blocks = self.split.read(np.where(index < count, index, -1).reshape(-1, self.size))
    rows, columns = self.split.middle
    middles = (images[:, rows, columns] for images in blocks) if self.split.side else blocks
    return map(self.split.sized, middles)
