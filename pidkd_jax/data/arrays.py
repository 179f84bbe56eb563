"""A prepared dataset as arrays in memory, and what is computed from them."""

import hashlib

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError

from pidkd_jax.data import image as image_lib
from pidkd_jax.data.reason import reason
from pidkd_jax.data.records import READERS
from pidkd_jax.errors import UserError
from pidkd_jax.types import Arrays

# The image stays encoded: which decoder TFDS takes depends on what else is installed.
_DECODERS = {'image': tfds.decode.SkipDecoding()}


def read(builder: tfds.core.DatasetBuilder, split: str) -> Arrays:
  """Reads a whole split of a prepared dataset.

  Args:
    builder: of a dataset that is prepared, as array_record or as tfrecord.
    split: its split's name.

  Returns:
    Images uint8 [N, H, W, C] and labels int32 [N], in the order of the files.

  Raises:
    UserError: if a file is missing or damaged, or holds other than the number of examples that
      the dataset's info declares; or if the dataset is in another format.
  """
  info = builder.info
  if split not in info.splits or info.file_format not in READERS:
    raise UserError(
      f'{builder.data_dir} holds no split {split!r} as array_record or tfrecord; delete that'
      ' folder and run again'
    )
  features = info.features
  shape = features['image'].shape
  num_examples, num_classes = info.splits[split].num_examples, features['label'].num_classes
  images = np.empty((num_examples, *shape), np.uint8)
  labels = np.empty(num_examples, np.int32)
  row = 0
  for file in info.splits[split].file_instructions:
    end = row + file.examples_in_shard
    try:
      for record in READERS[info.file_format](file.filename):
        if row == end:
          raise ValueError('it holds more records than its info declares')
        example = features.deserialize_example_np(record, decoders=_DECODERS)
        images[row] = image_lib.decode(example['image'], shape)
        labels[row] = example['label']
        if not 0 <= labels[row] < num_classes:
          raise ValueError(f'label {labels[row]}, but {num_classes} classes')
        row += 1
      if row < end:
        raise ValueError(f'{end - row} of its {file.examples_in_shard} records are missing')
    except (OSError, RuntimeError, ValueError, KeyError, DecodeError) as error:
      raise UserError(
        f'{file.filename} is damaged ({reason(error)}); delete the folder {builder.data_dir} and'
        ' run again'
      ) from error
  return Arrays(images, labels)


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
  """Per-channel mean and standard deviation of uint8 [N, H, W, C] images scaled to [0, 1].

  Exact, from the count of each of the 256 levels, in blocks: a float copy of Tiny-ImageNet would
  take 5 GB. The deviation of a channel that is the same everywhere is given as 1, to divide by.
  """
  channels = images.shape[-1]
  counts = np.zeros((channels, 256), np.int64)
  for start in range(0, len(images), 1024):
    block = images[start : start + 1024]
    for channel in range(channels):
      counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
  share = counts / counts.sum(axis=1, keepdims=True)
  levels = np.arange(256) / 255
  mean = share @ levels
  std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
  return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist())


def fingerprint(*splits: Arrays) -> str:
  """SHA-256 (hex) over the splits' images and labels, with their types and shapes."""
  digest = hashlib.sha256()
  for split in splits:
    for array in (split.images, split.labels):
      digest.update(f'{array.dtype.str}{array.shape}'.encode())
      digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()
