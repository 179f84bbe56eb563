"""What has to be known of every example before a dataset is streamed, found out once.

It takes a pass over all records, in which each is decoded and let go. The result lies in the user's
cache folder, under what the files of the prepared dataset were then: their names, sizes and times
of last change. The kernel sets the time of a change (ctime) itself, so a file that was altered is
surveyed anew even where its size and modification time are as before.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import PIL

from pidkd_jax.core import npz, runtime
from pidkd_jax.data.pipeline import statistics
from pidkd_jax.data.pipeline.streamed import Records
from pidkd_jax.data.tfds.prepared import Prepared

logger = logging.getLogger(__name__)

_BLOCK = 256


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetStatistics:
  """What it found; the figures are those of `facts` for the same examples in memory.

  Attributes:
    train: int32 [N], the labels of the training split.
    test: likewise of the test split.
    levels: int64 [C, 256], as `facts.Levels` counts the training split.
    fingerprint: of both splits.
  """

  train: np.ndarray
  test: np.ndarray
  levels: np.ndarray
  fingerprint: str


def dataset_statistics(train: Records, test: Records) -> DatasetStatistics:
  """Recalls what an earlier survey of the same files found, or makes one.

  Raises:
    UserError: a file is missing or damaged.
  """
  folder = pathlib.Path(train.split.builder.data_dir)
  place = runtime.cache_folder() / 'surveys' / f'{_hash(str(folder.resolve()))}.npz'
  state = _state(folder)
  found = _recalled(place, state, train.split, test.split)
  if found is None:
    logger.info('%s: all images are looked through once', folder)
    found = _made(train, test)
    # What was altered meanwhile is not what was seen.
    if _state(folder) == state:
      _keep(place, state, found)
  return found


def _made(train: Records, test: Records) -> DatasetStatistics:
  levels, fingerprint = statistics.Levels(train.split.image_shape[-1]), statistics.Fingerprint()
  of_train = _seen(train, fingerprint, levels.add)
  of_test = _seen(test, fingerprint, lambda images: None)
  return DatasetStatistics(of_train, of_test, levels.counts, fingerprint.hexdigest())


def _seen(
  records: Records, fingerprint: statistics.Fingerprint, look: Callable[[np.ndarray], None]
) -> np.ndarray:
  """Adds a split to the fingerprint, has its images looked at, and returns its labels."""
  records.check()
  count = len(records.split)
  labels = np.empty(count, np.int32)

  def images() -> Iterator[np.ndarray]:
    blocks = np.split(np.arange(count), range(_BLOCK, count, _BLOCK))
    for block, (images, found) in zip(blocks, records.stream(blocks), strict=True):
      labels[block] = found
      look(images)
      yield images

  fingerprint.add(np.uint8, (count, *records.split.image_shape), images())
  fingerprint.add(labels.dtype, labels.shape, [labels])
  return labels


def _state(folder: pathlib.Path) -> str:
  """A digest of what the prepared files are, and of what decodes them."""
  files = [
    (path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    for path in sorted(folder.iterdir())
    for stat in [path.stat()]
  ]
  return _hash(json.dumps([PIL.__version__, files]))


def _hash(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()


def _keep(place: pathlib.Path, state: str, found: DatasetStatistics) -> None:
  part = place.with_suffix(f'.{os.getpid()}.partial')
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
    with part.open('wb') as file:
      np.savez(
        file,
        state=_bytes(state),
        train=found.train,
        test=found.test,
        levels=found.levels,
        fingerprint=_bytes(found.fingerprint),
      )
    part.replace(place)
  except OSError as error:
    with contextlib.suppress(OSError):
      part.unlink()
    logger.warning('%s cannot be kept (%s): the next start looks through all again', place, error)


def _bytes(digest: str) -> np.ndarray:
  return np.frombuffer(bytes.fromhex(digest), np.uint8)


def _recalled(
  place: pathlib.Path, state: str, train: Prepared, test: Prepared
) -> DatasetStatistics | None:
  try:
    kept = npz.read(place)
    found = DatasetStatistics(
      kept['train'], kept['test'], kept['levels'], kept['fingerprint'].tobytes().hex()
    )
    fits = kept['state'].tobytes().hex() == state and all(
      labels.shape == (len(split),) and labels.dtype == np.int32
      for labels, split in ((found.train, train), (found.test, test))
    )
  except (ValueError, KeyError):  # Not there, or damaged.
    return None
  return found if fits else None
