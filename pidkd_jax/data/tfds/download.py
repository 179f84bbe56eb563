"""Download an archive, and go on with a download that was interrupted.

TFDS's own download begins at zero each time, waits for ever for a server that falls silent, and
leaves its parts behind. An archive of 161 MiB can take the better part of an hour.
"""

import contextlib
import fcntl
import logging
import os
import pathlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import requests
from tensorflow_datasets.core.download.checksums import UrlInfo
from tqdm import auto

from pidkd_jax.core.watched import is_watched

logger = logging.getLogger(__name__)

# Seconds to wait for a connection, and for the next bytes.
_TIMEOUT = (10, 60)
# Attempts in a row that may bring nothing, and the seconds before each further one.
_ATTEMPTS, _PAUSE = 3, 2.0
# The server has no ranges, or not this one.
_ANEW = (requests.codes.ok, requests.codes.requested_range_not_satisfiable)
# Bytes that are written at once.
_BLOCK = 2**16
_MIB = 2**20
# Without a live bar there is a line as often as this.
_LINE_SECONDS = 30.0


class BrokenOffError(Exception):
  """A download that ended early.

  Attributes:
    kept: bytes that the next attempt need not read again.
  """

  def __init__(self, reason: str, kept: int):
    super().__init__(reason, kept)  # Exceptions are pickled by their arguments.
    self.kept = kept

  def __str__(self) -> str:
    return str(self.args[0])


def fetch(url: str, expected: UrlInfo, path: pathlib.Path) -> None:
  """Download a file. What an earlier call had read is kept beside it, and is not read again.

  A second process waits for the first one. The checksum is the caller's to compare.

  Args:
    url: of the file.
    expected: its size.
    path: where the file comes to lie; its folder is made if it is missing.

  Raises:
    BrokenOffError: the server fell silent, went away or refused.
    OSError: the file cannot be written.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{path.name}.part')
  with _locked(partial) as file:
    if path.is_file():  # The process that was waited for has read it.
      partial.unlink(missing_ok=True)
      return
    size = int(expected.size)
    logger.info('downloading %s (%.0f MiB) to %s', url, size / _MIB, path.parent)
    with _Progress(path.name, size) as progress:
      _complete(url, size, file, progress)
    partial.replace(path)


@contextlib.contextmanager
def _locked(partial: pathlib.Path) -> Iterator[BinaryIO]:
  """Open a file to append to, once no other process does."""
  while True:
    with partial.open('ab') as file:
      with contextlib.suppress(OSError):  # Some network disks have no locks.
        fcntl.flock(file, fcntl.LOCK_EX)
      if not _is_at(partial, file):  # The one who held it has moved or removed it.
        continue
      file.seek(0, os.SEEK_END)
      yield file
      return


def _is_at(path: pathlib.Path, file: BinaryIO) -> bool:
  try:
    return os.path.samestat(os.fstat(file.fileno()), path.stat())
  except FileNotFoundError:
    return False


def _complete(url: str, size: int, file: BinaryIO, progress: '_Progress') -> None:
  """Append to a file until it has its size."""
  farthest, failures = -1, 0
  while True:
    reason = 'the server ended too early'
    try:
      _append(url, size, file, progress)
    except requests.RequestException as error:
      reason = type(error).__name__
    file.flush()
    have = file.tell()
    if have >= size:
      return
    failures = 0 if have > farthest else failures + 1
    farthest = max(have, farthest)
    if failures == _ATTEMPTS:
      raise BrokenOffError(reason, have)
    time.sleep(_PAUSE)


def _append(url: str, size: int, file: BinaryIO, progress: '_Progress') -> None:
  """Append what one answer of the server holds; begin anew where it cannot go on.

  An answer beyond the file's size, which may be endless, is cut: its checksum is wrong in any case.
  """
  have = file.tell()
  # Encoded, the bytes would not be those of the file.
  headers = {'Accept-Encoding': 'identity'} | ({'Range': f'bytes={have}-'} if have else {})
  with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
    # A server that fails for a moment costs nothing of what is there.
    if have and answer.status_code in _ANEW:
      file.truncate(0)
      file.seek(0)
    answer.raise_for_status()
    for block in answer.iter_content(_BLOCK):
      file.write(block)
      progress.show(file.tell())
      if file.tell() > size:
        return


class _Progress:
  """A bar for whoever watches, and lines of the log for others."""

  def __init__(self, name: str, size: int):
    self._size = size
    self._bar = auto.tqdm(
      desc=name, total=size, unit='B', unit_scale=True, disable=not is_watched(), leave=False
    )
    self._shown_at = time.monotonic()

  def __enter__(self) -> '_Progress':
    return self

  def __exit__(self, *error) -> None:
    self._bar.close()

  def show(self, have: int) -> None:
    """Show how many bytes there are."""
    self._bar.update(have - self._bar.n)
    if self._bar.disable and time.monotonic() - self._shown_at > _LINE_SECONDS:
      logger.info('%.0f of %.0f MiB', have / _MIB, self._size / _MIB)
      self._shown_at = time.monotonic()


def check_reachable(url: str, patience: float = 8.0) -> None:
  """Ask the server for a file's header.

  Args:
    url: the file to download.
    patience: seconds to wait for the answer.

  Raises:
    OSError: the server cannot be reached, does not answer in time or refuses the file.
  """
  outcome = queue.SimpleQueue()

  def ask():
    try:
      requests.head(url, timeout=5, allow_redirects=True).raise_for_status()
      outcome.put(None)
    except requests.RequestException as error:
      outcome.put(error)

  # The timeout of requests covers neither name resolution nor a chain of redirects, so a thread
  # asks. It is a daemon: a resolver that hangs does not keep the process alive.
  threading.Thread(target=ask, daemon=True).start()
  try:
    error = outcome.get(timeout=patience)
  except queue.Empty:
    raise TimeoutError(f'no answer within {patience:g} s') from None
  if error is not None:
    raise error
