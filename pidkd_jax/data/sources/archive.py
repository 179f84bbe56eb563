"""Reading an archive that may be damaged, without extracting anything to disk."""

import contextlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pidkd_jax.core.errors import UserError
from pidkd_jax.data.tfds.reason import reason


def broken(path: Path, what: str) -> UserError:
  """The error for an archive whose contents cannot be used; `what` is wrong with it."""
  return UserError(f'archive {path} cannot be used: {what}; get it anew')


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
  """Turns what tarfile, zipfile and zlib raise for a damaged file into one line."""
  try:
    yield
  # zipfile raises RuntimeError for an encrypted member and NotImplementedError (a RuntimeError)
  # for an exotic compression; EOFError is a gzip that ends too early.
  except (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
  ) as error:
    what = f'it is truncated, damaged or of another format ({reason(error)})'
    raise broken(path, what) from error


def check_size(path: Path, member: str, size: int, limit: int) -> None:
  """Refuses a member by the size that its header declares, before memory is taken for it."""
  if size > limit:
    raise broken(path, f'{member} declares {size:,} bytes, more than {limit:,}')


def label_names(path: Path, member: str, text: bytes) -> list[str]:
  """The lines of a file of label names; there must be some, and no two alike."""
  try:
    names = [line.strip() for line in text.decode().splitlines() if line.strip()]
  except UnicodeDecodeError:
    raise broken(path, f'{member} is not UTF-8 text') from None
  if not names or len(set(names)) < len(names):
    raise broken(path, f'{member} is empty or names a class twice')
  return names
