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
