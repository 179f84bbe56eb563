"""The records of a prepared file, in the two formats that can be read without TensorFlow."""

import contextlib
import pathlib
import struct
from collections.abc import Callable, Iterator

import google_crc32c
import tensorflow_datasets as tfds

from pidkd_jax.core import extras

# Records read at once. One call a record is ten times slower, and one call a file holds all of it.
_BLOCK = 1024


def array_record(path: str) -> Iterator[bytes]:
  """Yield every record of an array_record file, in order.

  Raises:
    RuntimeError: a block of the file is damaged.
    UserError: the package array_record is missing.
  """
  with _opened(path) as reader:
    count = reader.num_records()
    for start in range(0, count, _BLOCK):
      yield from reader.read(start, min(start + _BLOCK, count))


def array_record_count(path: str) -> int:
  """Return the number of records in an array_record file."""
  with _opened(path) as reader:
    return reader.num_records()


def _opened(path: str):
  # Imported here: tfrecord files are read without it.
  with extras.needed('reading array_record files'):
    from array_record.python.array_record_module import ArrayRecordReader

  return contextlib.closing(ArrayRecordReader(path))


def tfrecord(path: str) -> Iterator[bytes]:
  """Yield every record of an uncompressed tfrecord file, in order.

  A record is its length n (8 bytes), the length's checksum (4), n bytes and their checksum (4), all
  little-endian.

  Raises:
    ValueError: the file ends within a record, or a checksum is wrong.

  Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
  """
  data = pathlib.Path(path).read_bytes()
  position = 0

  def take(size: int) -> bytes:
    """Return the next bytes, after comparing the checksum that follows them."""
    nonlocal position
    end = position + size
    if end + 4 > len(data):
      raise ValueError('the file ends within a record')
    content, checksum = data[position:end], data[end : end + 4]
    if checksum != struct.pack('<I', masked_crc32c(content)):
      raise ValueError('a checksum is wrong')
    position = end + 4
    return content

  while position < len(data):
    [length] = struct.unpack('<Q', take(8))
    yield take(length)


def masked_crc32c(content: bytes) -> int:
  """Return the checksum that tfrecord stores: CRC-32C, rotated right by 15 bits, plus a constant.

  Example:
    >>> hex(masked_crc32c(bytes(32)))
    '0xfd7fffa'
  """
  crc = google_crc32c.value(content)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# The reader of a file, by the format that a prepared dataset's info names.
READERS: dict[tfds.core.FileFormat, Callable[[str], Iterator[bytes]]] = {
  tfds.core.FileFormat.ARRAY_RECORD: array_record,
  tfds.core.FileFormat.TFRECORD: tfrecord,
}
