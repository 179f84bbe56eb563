"""The Python version of CIFAR's archives: pickles of numpy arrays, read without running them."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class _Dtype:
  """Stands for numpy.dtype in a pickle."""

  def __init__(self, name: str | bytes, *_):
    self.name = name

  def __setstate__(self, _):
    """Ignore the order of bytes: only single bytes are read."""


class _Array:
  """Stands for numpy.ndarray in a pickle, which would believe any shape."""

  array: np.ndarray

  def __setstate__(self, state):
    _, shape, dtype, fortran, content = state
    if dtype.name not in ('u1', b'u1') or fortran:
      raise pickle.UnpicklingError(f'it has an array of {dtype.name!r} and not of bytes')
    self.array = np.frombuffer(content, np.uint8).reshape(shape)


def _encode(text: str, encoding: str) -> bytes:
  """Return bytes as Python 3 writes them in the protocol of Python 2."""
  if encoding != 'latin1':
    raise pickle.UnpicklingError(f'it encodes by {encoding!r}')
  return text.encode(encoding)


_ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
  ('_codecs', 'encode'): _encode,
  ('numpy', 'dtype'): _Dtype,
  ('numpy', 'ndarray'): _Array,
  ('numpy.core.multiarray', '_reconstruct'): lambda *_: _Array(),
  ('numpy._core.multiarray', '_reconstruct'): lambda *_: _Array(),
}


# Python's own unpickler in Python. The one in C takes the memory that a damaged file asks for.
class _Unpickler(pickle._Unpickler):  # pyright: ignore[reportAttributeAccessIssue]
  def find_class(self, module: str, name: str) -> Any:
    if (module, name) not in _ALLOWED:
      raise pickle.UnpicklingError(f'it names code ({module}.{name})')
    return _ALLOWED[module, name]


def load(content: bytes) -> dict[str, Any]:
  """Return the entries of a pickle by name; texts stay bytes.

  No code that the pickle names is run. Only numbers, bytes, lists and arrays of bytes are read.

  Raises:
    ValueError: it is no such pickle.
  """
  try:
    entries = _Unpickler(io.BytesIO(content), encoding='bytes').load()
    return {
      key.decode() if isinstance(key, bytes) else key: getattr(value, 'array', value)
      for key, value in entries.items()
    }
  except Exception as error:  # A damaged pickle can fail in any way.
    raise ValueError(f'no pickle of arrays ({error or type(error).__name__})') from error


def records(content: bytes) -> bytes:
  """Return a split of CIFAR-100 in the binary format: coarse label, fine label, three planes.

  Raises:
    ValueError: the pickle has no such entries, or they do not belong together.
  """
  entries = load(content)
  try:
    planes = entries['data']
    labels = [_numbers(entries[name]) for name in ('coarse_labels', 'fine_labels')]
    return np.column_stack([*labels, planes.reshape(len(planes), 3072)]).tobytes()
  except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
    raise ValueError(f'not labels and images of 32x32 ({error})') from error


def _numbers(entry: Any) -> np.ndarray:
  """Return a list of labels; lists within a list could name one another without end."""
  if not isinstance(entry, list) or not all(type(label) is int for label in entry):
    raise ValueError('labels are no list of numbers')
  return np.array(entry, np.uint8)


def names(content: bytes, entry: str) -> bytes:
  """Return a list of label names as lines.

  Raises:
    ValueError: the pickle has no such list.
  """
  found = load(content).get(entry)
  if not isinstance(found, list) or not all(isinstance(name, bytes) for name in found):
    raise ValueError(f'without a list {entry}')
  return b'\n'.join(found)
