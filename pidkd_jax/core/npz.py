"""Read untrusted .npz files: no pickles, bounded memory."""

import math
import pathlib
import zipfile

import numpy as np

from pidkd_jax.core import regular_file

_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Read the arrays of a file that `numpy.savez` wrote (not `savez_compressed`).

  Raises:
    ValueError: the file is not such an archive, is damaged, holds compressed members or Python
      objects, or declares more bytes than it has.
  """
  declared = 0
  try:
    regular_file.check(path)
    with zipfile.ZipFile(path) as file:
      for member in file.infolist():
        # A header has a length of its own. Where nothing is compressed, the file bounds that too.
        if member.compress_type != zipfile.ZIP_STORED:
          raise ValueError(f'{member.filename} is compressed')
        with file.open(member) as stream:
          # Check the header first: numpy allocates the memory that it declares.
          shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
        declared += math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or declared > path.stat().st_size:
          raise ValueError(f'{member.filename} declares {dtype}{list(shape)}')
    with np.load(path, allow_pickle=False) as file:
      return dict(file)
  except Exception as error:  # A damaged file can fail in any way.
    reason = ' '.join(f'{error}'.split()) or type(error).__name__
    raise ValueError(f'{path.name} is no archive of arrays, or a damaged one ({reason})') from error


def count(path: pathlib.Path) -> int:
  """Return the number of arrays in such a file.

  Raises:
    ValueError: the file is no such archive.
  """
  try:
    regular_file.check(path)
    with zipfile.ZipFile(path) as file:
      return len(file.infolist())
  except Exception as error:  # A damaged file can fail in any way.
    raise ValueError(f'{path.name} is no archive of arrays, or a damaged one') from error
