"""Write a large file atomically, for caches that several processes may write at once."""

import contextlib
import fcntl
import glob
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Yield a new file to write into; at the end it replaces `path`.

  An exception, Ctrl-C too, leaves the old file and nothing else. What a killed process left behind
  is removed by the next call.

  Args:
    path: the file to replace; its folder must exist.

  Raises:
    OSError: the folder takes no file.

  Example:
    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / 'cache.bin'
    >>> with replacing(path) as file:
    ...   file.write(b'abc')
    3
    >>> path.read_bytes()
    b'abc'
  """
  _remove_leftovers(path)
  partial = path.with_suffix(f'.{os.getpid()}.partial')
  try:
    with partial.open('wb') as file:
      with contextlib.suppress(OSError):  # Some network disks have no locks.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      yield file
    partial.replace(path)
  except BaseException:
    with contextlib.suppress(OSError):
      partial.unlink()
    raise


def _remove_leftovers(path: pathlib.Path) -> None:
  """Remove the unfinished files of `path` that no process writes any more.

  The lock of a process ends with it. So a file that can be locked is nobody's.
  """
  for partial in path.parent.glob(f'{glob.escape(path.stem)}.*.partial'):
    with contextlib.suppress(OSError), partial.open('r+b') as file:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      partial.unlink()
