"""The statistics of a dataset on disk, computed once and kept in the user's cache folder.

Computing them takes one pass that decodes every record. An altered file is read again
(`prepared_files.key`).
"""

import dataclasses
import hashlib
import logging
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from pidkd_jax.core import atomic_file, npz, runtime
from pidkd_jax.data.pipeline import prepared_files, statistics
from pidkd_jax.data.pipeline.example_reader import ExampleReader

logger = logging.getLogger(__name__)

# Images decoded at once.
_BLOCK = 256


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetStatistics:
  """The statistics of both splits, equal to those of the same examples in memory.

  Attributes:
    train_labels: int32 [N], the labels of the training split.
    test_labels: int32 [M], the labels of the test split.
    histogram: int64 [C, 256], `statistics.Histogram.counts` of the training split.
    fingerprint: SHA-256 (hex) of both splits, as `statistics.fingerprint` computes it.
  """

  train_labels: np.ndarray
  test_labels: np.ndarray
  histogram: np.ndarray
  fingerprint: str


def dataset_statistics(train: ExampleReader, test: ExampleReader) -> DatasetStatistics:
  """Return the statistics of a prepared dataset, from the cache or by one pass over its files.

  Raises:
    UserError: a file is missing or damaged.
  """
  folder = pathlib.Path(train.split.builder.data_dir)
  # One dataset has an entry for each size of its images and each choice of its splits.
  identity = f'{folder.resolve()} {train.split.side} {train.split.split} {test.split.split}'
  entry = runtime.cache_folder() / 'statistics' / f'{_sha256(identity)}.npz'
  key = prepared_files.key(folder)
  result = _load(entry, key, len(train.split), len(test.split))
  if result is None:
    logger.info('%s: reading all images once for their statistics', folder)
    result = _compute(train, test)
    # A file may have been altered during the pass.
    if prepared_files.key(folder) == key:
      _save(entry, key, result)
  return result


def _compute(train: ExampleReader, test: ExampleReader) -> DatasetStatistics:
  histogram = statistics.Histogram(train.split.image_shape[-1])
  fingerprint = statistics.Fingerprint()
  train_labels = _read_all(train, fingerprint, histogram.add)
  test_labels = _read_all(test, fingerprint, lambda images: None)
  return DatasetStatistics(train_labels, test_labels, histogram.counts, fingerprint.hexdigest())


def _read_all(
  reader: ExampleReader,
  fingerprint: statistics.Fingerprint,
  observe: Callable[[np.ndarray], None],
) -> np.ndarray:
  """Add a split to the fingerprint, show its images to `observe` and return its labels."""
  reader.check()
  count = len(reader.split)
  labels = np.empty(count, np.int32)

  def images() -> Iterator[np.ndarray]:
    blocks = np.split(np.arange(count), range(_BLOCK, count, _BLOCK))
    for block, (images, block_labels) in zip(blocks, reader.stream(blocks), strict=True):
      labels[block] = block_labels
      observe(images)
      yield images

  fingerprint.add(np.dtype(np.uint8), (count, *reader.split.image_shape), images())
  fingerprint.add(labels.dtype, labels.shape, [labels])
  return labels


def _sha256(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()


def _save(entry: pathlib.Path, key: str, result: DatasetStatistics) -> None:
  """Write a cache entry atomically; a warning says so if it cannot be written."""
  try:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file.replacing(entry) as file:
      np.savez(
        file,
        key=_bytes(key),
        train_labels=result.train_labels,
        test_labels=result.test_labels,
        histogram=result.histogram,
        fingerprint=_bytes(result.fingerprint),
      )
  except OSError as error:
    logger.warning('%s cannot be written (%s); the next start reads all images again', entry, error)


def _load(entry: pathlib.Path, key: str, train: int, test: int) -> DatasetStatistics | None:
  """Read a cache entry; return None if it is missing, damaged or of other files.

  Args:
    entry: the file.
    key: the key that it must have.
    train: N, the examples of the training split.
    test: M, the examples of the test split.
  """
  try:
    arrays = npz.read(entry)
    result = DatasetStatistics(
      arrays['train_labels'],
      arrays['test_labels'],
      arrays['histogram'],
      arrays['fingerprint'].tobytes().hex(),
    )
    valid = arrays['key'].tobytes().hex() == key and all(
      labels.shape == (count,) and labels.dtype == np.int32
      for labels, count in ((result.train_labels, train), (result.test_labels, test))
    )
  except (ValueError, KeyError):
    return None
  return result if valid else None


def _bytes(digest: str) -> np.ndarray:
  return np.frombuffer(bytes.fromhex(digest), np.uint8)
