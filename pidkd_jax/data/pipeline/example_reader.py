"""Random access to the examples of a prepared split, decoded ahead by Grain's threads."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pidkd_jax.core import runtime
from pidkd_jax.data.tfds.prepared_split import DAMAGE, DECODERS, PreparedSplit
from pidkd_jax.data.tfds.records import array_record_count

# Pillow decodes without the interpreter's lock, so each core can run a thread.
_THREADS = min(runtime.cores(), 16)

# Batches that Grain decodes, or has decoded, before they are asked for.
PREFETCHED_BATCHES = 2 * _THREADS


@dataclasses.dataclass(frozen=True, eq=False)
class ExampleReader:
  """Reads the examples of a prepared split in any order.

  Attributes:
    split: a split that is prepared as array_record.
  """

  split: PreparedSplit

  @functools.cached_property
  def _source(self):
    builder: Any = self.split.builder
    return builder.as_data_source(self.split.split, decoders=DECODERS)

  @functools.cached_property
  def _ends(self) -> np.ndarray:
    """The position in the split at which each file ends, int [files]."""
    return np.cumsum([file.examples_in_shard for file in self.split.files])

  def check(self) -> None:
    """Compare each file's number of records with the one that the dataset's info declares.

    Raises:
      UserError: they differ, or a file is missing or damaged.
    """
    for file in self.split.files:
      try:
        count = array_record_count(file.filename)
        if count != file.examples_in_shard:
          raise ValueError(f'it holds {count} records and not {file.examples_in_shard}')
      except DAMAGE as error:
        raise self.split.damage_error(file.filename, error) from error

  def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read and decode a batch of examples.

    Args:
      index: int [B], positions in the split; negative for no example.

    Returns:
      Images uint8 [B, H, W, C] and labels int32 [B]; 0 and -1 where there is no example.

    Raises:
      UserError: a record, or its file, is damaged.
    """
    images = np.zeros((len(index), *self.split.image_shape), np.uint8)
    labels = np.full(len(index), -1, np.int32)
    rows = np.flatnonzero(index >= 0)
    try:
      self._fill(images, labels, index, rows)
    except DAMAGE as error:
      # Read them one by one, to learn which file is damaged.
      for row in rows:
        with self._naming_the_file(index[row]):
          self._fill(images, labels, index, [row])
      raise self.split.damage_error(self.split.builder.data_dir, error) from error
    return images, labels

  def _fill(self, images, labels, index, rows) -> None:
    examples = self._source.__getitems__(index[rows].tolist())
    for row, example in zip(rows, examples, strict=True):
      images[row], labels[row] = self.split.decode(example)

  @contextlib.contextmanager
  def _naming_the_file(self, position: int) -> Iterator[None]:
    """Turn damage at a position of the split into an error that names its file."""
    try:
      yield
    except DAMAGE as error:
      file = self.split.files[np.searchsorted(self._ends, position, side='right')]
      raise self.split.damage_error(file.filename, error) from error

  def stream(
    self, batches: Sequence[np.ndarray] | np.ndarray
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read batches in order, ahead of their use, in Grain's threads.

    Args:
      batches: the positions of each batch's examples, as `read` takes them.

    Yields:
      What `read` returns for each batch.
    """
    import grain  # Here: the import takes a second, and only streamed data need it.

    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=PREFETCHED_BATCHES)
    source: Any = _BatchSource(self, batches)
    iterator = iter(grain.MapDataset.source(source).to_iter_dataset(options))
    try:
      yield from iterator
    finally:
      iterator.close()


@dataclasses.dataclass(frozen=True, eq=False)
class _BatchSource:
  """Batches as Grain's random-access source, so that one thread makes a whole batch."""

  reader: ExampleReader
  batches: Sequence[np.ndarray] | np.ndarray

  def __len__(self) -> int:
    return len(self.batches)

  def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
    return self.reader.read(self.batches[position])
