"""A split that stays on disk: Grain's threads read and decode what is needed next."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core import runtime
from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.data.pipeline.split import Batches
from pidkd_jax.data.tfds.prepared import DAMAGE, DECODERS, Prepared
from pidkd_jax.data.tfds.records import array_record_count
from pidkd_jax.parallel import devices

# Pillow decodes without the interpreter's lock, so that each core has use for a thread.
_THREADS = min(runtime.cores(), 16)

# Batches that are decoded, or being so, before they are asked for, and one more on the device.
_AHEAD = 2 * _THREADS


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
  """The records of a prepared split, in any order.

  Attributes:
    split: prepared as array_record.
  """

  split: Prepared

  @functools.cached_property
  def _source(self):
    return self.split.builder.as_data_source(self.split.split, decoders=DECODERS)

  @functools.cached_property
  def _ends(self) -> np.ndarray:
    """For each file the place in the split at which it ends."""
    return np.cumsum([file.examples_in_shard for file in self.split.files])

  def check(self) -> None:
    """Raises UserError for a file of another number of records than the dataset's info declares."""
    for file in self.split.files:
      try:
        count = array_record_count(file.filename)
        if count != file.examples_in_shard:
          raise ValueError(f'it holds {count} records and not {file.examples_in_shard}')
      except DAMAGE as error:
        raise self.split.damaged(file.filename, error) from error

  def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads and decodes some examples.

    Args:
      index: int [B], their places in the split; where it is negative, there is none.

    Returns:
      Images uint8 [B, H, W, C] and labels int32 [B]: 0 and -1 where there is none.

    Raises:
      UserError: a record, or its file, is damaged.
    """
    images = np.zeros((len(index), *self.split.image_shape), np.uint8)
    labels = np.full(len(index), -1, np.int32)
    there = np.flatnonzero(index >= 0)
    try:
      self._fill(images, labels, index, there)
    except DAMAGE as error:
      # One by one, to see which it is.
      for place in there:
        with self._blamed(index[place]):
          self._fill(images, labels, index, [place])
      raise self.split.damaged(self.split.builder.data_dir, error) from error
    return images, labels

  def _fill(self, images, labels, index, places) -> None:
    examples = self._source.__getitems__(index[places].tolist())
    for place, example in zip(places, examples, strict=True):
      images[place], labels[place] = self.split.decoded(example)

  @contextlib.contextmanager
  def _blamed(self, row: int) -> Iterator[None]:
    try:
      yield
    except DAMAGE as error:
      file = self.split.files[np.searchsorted(self._ends, row, side='right')]
      raise self.split.damaged(file.filename, error) from error

  def stream(self, batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What `read` gives for each of some batches, in order, made ahead in Grain's threads.

    Args:
      batches: places in the split, an int array for each batch.
    """
    import grain  # Here: it takes a second, and only what is streamed needs it.

    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_AHEAD)
    iterator = iter(grain.MapDataset.source(_Read(self, batches)).to_iter_dataset(options))
    try:
      yield from iterator
    finally:
      iterator.close()


@dataclasses.dataclass(frozen=True, eq=False)
class _Read:
  """Batches as Grain's random-access source, so that a thread of it makes a whole batch."""

  records: Records
  batches: Sequence[np.ndarray]

  def __len__(self) -> int:
    return len(self.batches)

  def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
    return self.records.read(self.batches[place])


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedSplit:
  """A split of which the labels alone are in memory (`examples.Examples`).

  Attributes:
    records: where it is read from.
    labels: int32 [N].
    rows: int64 [N], which of the records are its examples.
  """

  records: Records
  labels: np.ndarray
  rows: np.ndarray

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self.records.split.image_shape

  def __len__(self) -> int:
    return len(self.labels)

  def take(self, index: np.ndarray) -> 'StreamedSplit':
    return StreamedSplit(self.records, self.labels[index], self.rows[index])

  def blocks(self, size: int) -> '_Blocks':
    return _Blocks(self, size)

  def held_bytes(self, batch_size: int) -> int:
    return (_AHEAD + 2) * batch_size * math.prod(self.image_shape)

  def batches(self, schedule: Schedule) -> 'StreamedBatches':
    return StreamedBatches(self, schedule)

  def read(self, index: np.ndarray) -> Iterator[jax.Array]:
    """Images on the devices, each with its part of a batch and one batch ahead of what is used.

    Of several processes each reads and decodes what its own devices hold.

    Args:
      index: int [batches, B], places in this split, or -1 for black.

    Yields:
      uint8 [B, H, W, C].
    """
    size = index.shape[1]
    own = devices.local_indices(size)
    rows = np.where(index < 0, -1, self.rows[index])[:, own]
    ahead = None
    for images, _ in self.records.stream(rows):
      placed = devices.put_sharded(images, own, size)
      if ahead is not None:
        yield ahead
      ahead = placed
    if ahead is not None:
      yield ahead


@dataclasses.dataclass(frozen=True, eq=False)
class _Blocks:
  """A split in blocks, read anew by each iterator."""

  split: StreamedSplit
  size: int

  def __iter__(self) -> Iterator[jax.Array]:
    count = len(self.split)
    index = np.arange(-(-count // self.size) * self.size)
    return self.split.read(np.where(index < count, index, -1).reshape(-1, self.size))


class StreamedBatches(Batches):
  """Batches of a split that stays on disk.

  The batches of an epoch are read in order from whichever step is asked for first, so there is no
  position to keep beside the step.
  """

  traceable = False

  def __init__(self, split: StreamedSplit, schedule: Schedule):
    self.schedule = schedule
    self._split = split
    self._order = self._images = None
    self._within = 0

  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    within = int(step) % self.steps_per_epoch
    if order is not self._order or within != self._within:
      rest = np.asarray(order)[within * self.batch_size : self.steps_per_epoch * self.batch_size]
      self._images = self._split.read(rest.reshape(-1, self.batch_size))
    images = next(self._images)
    self._order, self._within = order, within + 1
    return self.schedule.finish(images, order, step)

  def programs(self) -> Iterator[jax.stages.Lowered]:
    count = jnp.int32(0)
    images = jax.ShapeDtypeStruct((self.batch_size, *self._split.image_shape), jnp.uint8)
    yield Schedule.order.lower(self.schedule, count)
    order = jax.eval_shape(self.schedule.order, count)
    yield Schedule.finish.lower(self.schedule, images, order, count)
