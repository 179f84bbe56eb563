"""A split of a prepared dataset: its files, and what a record of them holds."""

import dataclasses
import functools

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.tfds import image as image_lib
from pidkd_jax.data.tfds.reason import reason
from pidkd_jax.data.tfds.records import READERS

# The image stays encoded: which decoder TFDS takes depends on what else is installed.
DECODERS = {'image': tfds.decode.SkipDecoding()}

# What reading and decoding raise for a damaged file.
DAMAGE = (OSError, RuntimeError, ValueError, KeyError, IndexError, DecodeError)


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
  """A split of a dataset that is prepared as array_record or as tfrecord.

  Attributes:
    builder: of the dataset.
    split: its name.

  Raises:
    UserError: there is no such split, or the dataset is in another format.
  """

  builder: tfds.core.DatasetBuilder
  split: str

  def __post_init__(self):
    info = self.builder.info
    if self.split not in info.splits or info.file_format not in READERS:
      raise UserError(
        f'{self.builder.data_dir} holds no split {self.split!r} as array_record or tfrecord; delete'
        ' that folder and run again'
      )

  def __len__(self) -> int:
    return self.builder.info.splits[self.split].num_examples

  @functools.cached_property
  def image_shape(self) -> tuple[int, int, int]:
    return tuple(self.builder.info.features['image'].shape)

  @functools.cached_property
  def num_classes(self) -> int:
    return self.builder.info.features['label'].num_classes

  @functools.cached_property
  def files(self) -> list:
    """TFDS's instructions: `filename` and `examples_in_shard`."""
    return self.builder.info.splits[self.split].file_instructions

  @property
  def nbytes(self) -> int:
    """What its images take when they are decoded."""
    return len(self) * int(np.prod(self.image_shape))

  def deserialized(self, record: bytes) -> dict:
    """A record's fields, the image still encoded."""
    return self.builder.info.features.deserialize_example_np(record, decoders=DECODERS)

  def decoded(self, example: dict) -> tuple[np.ndarray, int]:
    """The image, uint8 [H, W, C], and the label of a deserialized record.

    Raises:
      ValueError, KeyError: they are not what the dataset's info says.
    """
    label = int(example['label'])
    if not 0 <= label < self.num_classes:
      raise ValueError(f'label {label}, but {self.num_classes} classes')
    return image_lib.decode(example['image'], self.image_shape), label

  def damaged(self, filename: str, error: Exception) -> UserError:
    """The error for a file of it in which reading met one of `DAMAGE`."""
    return UserError(
      f'{filename} is damaged ({reason(error)}); delete the folder {self.builder.data_dir} and run'
      ' again'
    )
