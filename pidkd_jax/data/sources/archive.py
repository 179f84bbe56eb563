"""Read an archive that may be damaged, without extracting anything to disk."""

import contextlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pidkd_jax.core.errors import UserError, first_line


def unusable(path: Path, reason: str) -> UserError:
  """Return the error for an archive whose contents cannot be used."""
  return UserError(f'archive {path} cannot be used: {reason}; get it anew')


# A path of Linux has at most 4,096 bytes, and a header of pax some paths.
_LONGEST_NAME = 2**16


class BoundedTarInfo(tarfile.TarInfo):
  """Members whose headers take little memory, for `tarfile.open(..., tarinfo=BoundedTarInfo)`.

  A header may declare a name of gigabytes, which compresses to nothing, and tarfile reads it whole.
  After a negative size it would read the same headers for ever (CVE-2025-8194).
  """

  # tarfile calls these methods for members of a kind. Type checkers do not know them.
  def _proc_gnulong(self, tarfile):
    return self._bounded(super()._proc_gnulong, tarfile)  # pyright: ignore[reportAttributeAccessIssue]

  def _proc_pax(self, tarfile):
    return self._bounded(super()._proc_pax, tarfile)  # pyright: ignore[reportAttributeAccessIssue]

  def _proc_sparse(self, tarfile):
    return self._refuse('is sparse')

  def _proc_gnusparse_00(self, *args):
    return self._refuse('is sparse')

  def _proc_gnusparse_01(self, *args):
    return self._refuse('is sparse')

  def _proc_gnusparse_10(self, *args):
    return self._refuse('is sparse')

  def _block(self, count):
    if count < 0:
      return self._refuse(f'declares {count:,} bytes')
    return super()._block(count)  # pyright: ignore[reportAttributeAccessIssue]

  def _bounded(self, process, tarfile):
    if self.size > _LONGEST_NAME:
      return self._refuse(f'declares a name of {self.size:,} bytes')
    return process(tarfile)

  def _refuse(self, reason):
    raise tarfile.ReadError(f'a header {reason}')


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
  """Turn the exceptions of tarfile, zipfile and zlib for a damaged file into a UserError."""
  try:
    yield
  # zipfile raises RuntimeError for an encrypted member, and NotImplementedError (a RuntimeError)
  # for an exotic compression. A gzip that ends too early raises EOFError.
  except (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
  ) as error:
    reason = f'it is truncated, damaged or of another format ({first_line(error)})'
    raise unusable(path, reason) from error


def check_size(path: Path, member: str, size: int, limit: int) -> None:
  """Raise UserError for a member that declares too many bytes, before memory is allocated."""
  if size > limit:
    raise unusable(path, f'{member} declares {size:,} bytes, more than {limit:,}')


def label_names(path: Path, member: str, text: bytes) -> list[str]:
  """Return the lines of a file of label names.

  Raises:
    UserError: there are none, two are equal, or the file is not UTF-8 text.
  """
  try:
    names = [line.strip() for line in text.decode().splitlines() if line.strip()]
  except UnicodeDecodeError:
    raise unusable(path, f'{member} is not UTF-8 text') from None
  if not names or len(set(names)) < len(names):
    raise unusable(path, f'{member} is empty or names a class twice')
  return names
