"""The image files of a folder."""

import collections
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from pidkd_jax.core.errors import UserError, first_line

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
# What systems and programs put beside a user's files, as hidden files do.
JUNK = (
  '#recycle',
  '$RECYCLE.BIN',
  '@eaDir',
  'System Volume Information',
  '__MACOSX',
  '__pycache__',
  'lost+found',
)


def is_junk(name: str) -> bool:
  """Whether an entry of a folder is hidden, or not the user's own.

  Example:
    >>> is_junk('.DS_Store'), is_junk('@eaDir'), is_junk('photo.png')
    (True, True, False)
  """
  return name.startswith('.') or name in JUNK


def named(name: str) -> str:
  """Return a name as others are compared with it: systems compose accents in two ways.

  Example:
    >>> named('cafe\\u0301') == named('caf\\u00e9')
    True
  """
  return unicodedata.normalize('NFC', name)


def kind(path: Path) -> str:
  """Return what an entry is that is passed over, for a message."""
  if path.name.startswith('.'):
    return 'hidden'
  if path.is_dir():
    return 'folders'
  if path.is_symlink() and not path.exists():
    return 'dead links'
  return ascii(path.suffix.lower()).strip("'") or 'without a suffix'


def counted(others: Mapping[str, int]) -> str:
  """Return how many entries of each kind were passed over, for a message.

  Example:
    >>> counted({'hidden': 2, '.txt': 1})
    '.txt: 1, hidden: 2'
  """
  return ', '.join(f'{kind}: {count}' for kind, count in sorted(others.items()))


def find(folder: Path) -> tuple[list[Path], Mapping[str, int]]:
  """Return the image files in a folder and in the folders below it.

  An image is a file with one of `SUFFIXES`, in either case. Links are followed, each folder once.

  Returns:
    The paths, those of a folder before those below it, sorted by name; and the number of the other
    entries, by kind.

  Raises:
    UserError: a folder cannot be read.
  """
  paths, others, seen = [], collections.Counter[str](), set()
  for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
    folders[:] = sorted(name for name in folders if not is_junk(name))
    real = os.path.realpath(place)
    if real in seen:  # A link that leads back.
      folders.clear()
      continue
    seen.add(real)
    for path in (Path(place, name) for name in sorted(files)):
      if path.suffix.lower() in SUFFIXES and path.is_file() and not is_junk(path.name):
        paths.append(path)
      else:
        others[kind(path)] += 1
  return paths, others


def _refuse(error: OSError) -> None:
  raise UserError(
    f'{error.filename} cannot be read ({first_line(error)}); mend or remove it'
  ) from error
