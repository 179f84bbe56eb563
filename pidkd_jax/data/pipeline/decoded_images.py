"""Both splits of a prepared dataset in memory, from one file of decoded images.

Decoding takes 0.1 ms a record and more. So the images are kept beside the records, decoded, and
later starts read them at the speed of the disk.
"""

import logging
import pathlib

import numpy as np

from pidkd_jax.core import atomic_file, npz
from pidkd_jax.data.pipeline import prepared_files, statistics
from pidkd_jax.data.pipeline.resident_reader import read_split
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.tfds.prepared_split import PreparedSplit

logger = logging.getLogger(__name__)

# Larger datasets are decoded anew at each start.
LIMIT = 2**31


def read(train: PreparedSplit, test: PreparedSplit) -> tuple[ResidentSplit, ResidentSplit, str]:
  """Read both splits into memory.

  Args:
    train: of a prepared dataset.
    test: of the same one.

  Returns:
    Both splits, in the order of their files, and their fingerprint (`statistics.fingerprint`).

  Raises:
    UserError: a file is missing or damaged, or its number of records is not the one that the
      dataset's info declares.
  """
  folder = pathlib.Path(train.builder.data_dir)
  entry = folder / f'.decoded{f"-{train.side}" if train.side else ""}.npz'
  key = prepared_files.key(folder)
  if found := _load(entry, key, train, test):
    return found
  splits = read_split(train), read_split(test)
  fingerprint = statistics.fingerprint(*splits)
  # A file may have been altered meanwhile.
  if train.nbytes + test.nbytes <= LIMIT and prepared_files.key(folder) == key:
    _save(entry, key, (train, test), splits, fingerprint)
  return *splits, fingerprint


def _load(
  entry: pathlib.Path, key: str, *prepared: PreparedSplit
) -> tuple[ResidentSplit, ResidentSplit, str] | None:
  """Read the file; return None if it is missing, damaged or of other records."""
  try:
    arrays = npz.read(entry)
    train, test = (
      ResidentSplit(arrays[f'{split.split}_images'], arrays[f'{split.split}_labels'])
      for split in prepared
    )
    # It also tells whether the arrays are whole.
    fingerprint = statistics.fingerprint(train, test)
    valid = (str(arrays['key']), str(arrays['fingerprint'])) == (key, fingerprint)
  except (ValueError, KeyError):
    return None
  return (train, test, fingerprint) if valid else None


def _save(
  entry: pathlib.Path,
  key: str,
  prepared: tuple[PreparedSplit, ...],
  splits: tuple[ResidentSplit, ...],
  fingerprint: str,
) -> None:
  """Write the file atomically. A folder that takes no file is left as it is."""
  arrays = {}
  for one, split in zip(prepared, splits, strict=True):
    arrays |= {f'{one.split}_images': split.images, f'{one.split}_labels': split.labels}
  try:
    with atomic_file.replacing(entry) as file:
      np.savez(file, key=np.array(key), fingerprint=np.array(fingerprint), **arrays)
  except OSError as error:
    logger.info('%s cannot be written (%s); each start decodes all images', entry, error)
