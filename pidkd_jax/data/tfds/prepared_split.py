"""A split of a prepared dataset: its files, and how to decode a record of them."""

import dataclasses
import functools
from typing import cast

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError

from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.data.tfds.builder import features
from pidkd_jax.data.tfds.records import READERS

# Images stay encoded, because TFDS chooses its decoder by what else is installed.
DECODERS = {'image': tfds.decode.SkipDecoding()}

# The exceptions of reading and decoding a damaged file.
DAMAGE = (OSError, RuntimeError, ValueError, KeyError, IndexError, DecodeError)


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedSplit:
  """A split of a dataset that is prepared as array_record or as tfrecord.

  Attributes:
    builder: the dataset's builder.
    split: the split's name.
    side: the H and W to which each image is scaled and cut when it is decoded; 0 to leave it.

  Raises:
    UserError: there is no such split, or the dataset is in another format.
  """

  builder: tfds.core.DatasetBuilder
  split: str
  side: int = 0

  def __post_init__(self):
    info = self.builder.info
    if self.split not in info.splits or info.file_format not in READERS:
      raise UserError(
        f'{self.builder.data_dir} holds no split {self.split!r} as array_record or tfrecord; delete'
        ' that folder and run again'
      )

  def __len__(self) -> int:
    return self.builder.info.splits[self.split].num_examples

  @property
  def file_format(self) -> tfds.core.FileFormat:
    """The format of its files, one of `READERS`."""
    return cast(tfds.core.FileFormat, self.builder.info.file_format)

  @functools.cached_property
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the images as they are given."""
    height, width, channels = self._encoded_shape
    return (self.side or height, self.side or width, channels)

  @functools.cached_property
  def _encoded_shape(self) -> tuple[int, int, int]:
    return tuple(features(self.builder)['image'].shape)

  @functools.cached_property
  def class_names(self) -> tuple[str, ...]:
    """K names, in the order of the labels."""
    return tuple(features(self.builder)['label'].names)

  @functools.cached_property
  def files(self) -> list:
    """TFDS's instructions for each file, with `filename` and `examples_in_shard`."""
    return self.builder.info.splits[self.split].file_instructions

  @property
  def nbytes(self) -> int:
    """The bytes of all its images, decoded."""
    return len(self) * int(np.prod(self.image_shape))

  def deserialize(self, record: bytes) -> dict:
    """Return a record's fields; the image stays encoded."""
    return features(self.builder).deserialize_example_np(record, decoders=DECODERS)

  def decode(self, example: dict) -> tuple[np.ndarray, int]:
    """Return the image, uint8 [H, W, C], and the label of a deserialized record.

    Raises:
      ValueError, KeyError: the example contradicts the dataset's info.
      UserError: it has no label.
    """
    label = int(example['label'])
    if label == -1:  # TFDS's value for a class that is kept secret.
      raise UserError(
        f'the split {self.split!r} of {self.builder.name} has images without a class (label -1); '
        'name another split by Source(test=...), or give them classes'
      )
    if not 0 <= label < len(self.class_names):
      raise ValueError(f'label {label}, but {len(self.class_names)} classes')
    image = image_lib.decode(example['image'], self._encoded_shape)
    return image_lib.resized(image, self.side) if self.side else image, label

  def damage_error(self, filename: str, error: Exception) -> UserError:
    """Return the error for a file in which reading met one of `DAMAGE`."""
    return UserError(
      f'{filename} is damaged ({first_line(error)}); delete the folder {self.builder.data_dir} and'
      ' run again'
    )
