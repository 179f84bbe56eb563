"""Read a prepared split into memory."""

import os

import numpy as np

from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.tfds.prepared_split import DAMAGE, PreparedSplit
from pidkd_jax.data.tfds.records import READERS


def read_split(split: PreparedSplit) -> ResidentSplit:
  """Read a prepared split into memory, in the order of its files.

  Raises:
    UserError: a file is missing or damaged, or its number of records is not the one that the
      dataset's info declares.
  """
  _check_sizes(split)
  images = np.empty((len(split), *split.image_shape), np.uint8)
  labels = np.empty(len(split), np.int32)
  row = 0
  for file in split.files:
    end = row + file.examples_in_shard
    try:
      for record in READERS[split.file_format](file.filename):
        if row == end:
          raise ValueError('it holds more records than its info declares')
        images[row], labels[row] = split.decode(split.deserialize(record))
        row += 1
      if row < end:
        raise ValueError(f'{end - row} of its {file.examples_in_shard} records are missing')
    except DAMAGE as error:
      raise split.damage_error(file.filename, error) from error
  return ResidentSplit(images, labels)


def _check_sizes(split: PreparedSplit) -> None:
  """Check that each file is as large as its records are many, before memory is taken for them."""
  for file in split.files:
    try:
      size = os.stat(file.filename).st_size
      if file.examples_in_shard > size:
        raise ValueError(f'{file.examples_in_shard:,} records cannot lie in its {size:,} bytes')
    except DAMAGE as error:
      raise split.damage_error(file.filename, error) from error
