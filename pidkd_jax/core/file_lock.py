"""Locks of files that end with their process, and say who holds them."""

import contextlib
import errno
import fcntl
import os
import platform
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

from pidkd_jax.core.errors import printable

# What `flock` says on file systems that have no locks, as some over a network have none.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
# F_OFD_SETLK, by which TensorStore locks on Linux, and which not every build of Python names.
# Elsewhere TensorStore takes `flock`.
_OFD_SETLK = 37 if sys.platform == 'linux' else None


# {folder: (the locked file in it, the folder's own number)}, of this process. While they are open,
# no other file or folder is given their place on the disk.
_held: dict[str, tuple[BinaryIO, int]] = {}


class NoLocksError(Exception):
  """The file system has no locks; the text is the system's reason."""


def take(file: BinaryIO) -> tuple[Callable[[], None], str]:
  """Lock an open file for this process, and write into it who that is.

  Args:
    file: opened for reading and writing.

  Returns:
    What unlocks it, and why it has no lock of the whole file (`flock`), which other machines see
    more reliably; '' where it has one.

  Raises:
    BlockingIOError: another process holds the lock.
    NoLocksError: the file system has no locks.
    OSError: the file cannot be locked.
  """
  lock, reason = _flock, ''
  try:
    _flock(file, True)
  except OSError as error:
    if error.errno not in _NO_LOCKS:
      raise
    lock, reason = _ofd_lock, os.strerror(error.errno)
    try:
      _ofd_lock(file, True)
    except OSError as refused:
      if refused.errno not in (*_NO_LOCKS, errno.EINVAL):
        raise
      raise NoLocksError(reason) from refused
  with contextlib.suppress(OSError):  # The lock holds without that.
    file.truncate(0)
    file.write(f'process {os.getpid()} on {platform.node()}\n'.encode(errors='replace'))
    os.fsync(file.fileno())  # A machine that vanishes writes nothing later.
  owner, folder = os.getpid(), os.path.realpath(os.path.dirname(file.name))
  _held[folder] = held = file, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

  def release() -> None:
    # A process that was forked meanwhile holds the file, too, and would keep the lock.
    if os.getpid() == owner:
      if _held.get(folder) is held:
        del _held[folder]
      os.close(held[1])
      with contextlib.suppress(OSError):
        lock(file, False)

  return release, reason


def is_lost(folder: str | os.PathLike[str]) -> bool:
  """Return whether this process locked a folder, or one above it, that is not there any more.

  Somebody removed or renamed it, or another process has a lock of its own there.
  """
  place = os.path.realpath(folder)
  while place not in _held:
    place, child = os.path.dirname(place), place
    if place == child:
      return False
  file, number = _held[place]
  path = os.path.join(place, os.path.basename(file.name))
  try:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 'rb') as there:
      same = os.path.samestat(os.fstat(file.fileno()), os.fstat(there.fileno()))
      # Some file systems over a network number a file anew.
      return not same and holder(there) != holder(file)
  except OSError:
    pass  # Somebody may have removed the lock alone.
  try:
    return not os.path.samestat(os.fstat(number), os.stat(place))
  except (FileNotFoundError, NotADirectoryError):
    return True
  except OSError:
    return False  # A file system that fails for a moment says nothing.


def holder(file: BinaryIO) -> str:
  """Return who holds the lock of a file, as it says itself; '' where it says nothing."""
  try:
    signed = os.pread(file.fileno(), 200, 0).decode(errors='replace')
  except OSError:
    return ''
  return printable(' '.join(signed.split()))


def _flock(file: BinaryIO, hold: bool) -> None:
  fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if hold else fcntl.LOCK_UN)


def _ofd_lock(file: BinaryIO, hold: bool) -> None:
  if _OFD_SETLK is None:
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
  kind = fcntl.F_WRLCK if hold else fcntl.F_UNLCK
  # Linux's struct flock: kind, whence, start, length (0: to the end), process (0 for these locks).
  fcntl.fcntl(file, _OFD_SETLK, struct.pack('hhqqi0q', kind, os.SEEK_SET, 0, 0, 0))
