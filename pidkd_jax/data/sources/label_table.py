"""A table (CSV) of a user's images: their paths, their classes, and perhaps their splits."""

import collections
import csv
import functools
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pidkd_jax.core.errors import UserError, first_line, listed
from pidkd_jax.data.sources.folder import Folder
from pidkd_jax.data.sources.labelled_files import arranged

SUFFIXES = ('.csv', '.tsv')

# {column: the names that a header may give it}, in small letters and in their order without header.
_COLUMNS: Mapping[str, Sequence[str]] = {
  'path': ('path', 'file', 'filename', 'file_name', 'filepath', 'image', 'image_path', 'img'),
  'label': ('label', 'class', 'class_name', 'category', 'target', 'labels'),
  'split': ('split', 'set', 'subset', 'fold', 'partition'),
}
_LIMIT = 2**28


def is_table(path: Path) -> bool:
  """Whether a file has the suffix of a table."""
  # Paths of pathlib raise where a name is too long.
  return os.path.isfile(path) and path.suffix.lower() in SUFFIXES


def read(table: Path) -> Folder:
  """Read a table of images.

  A row has an image's path, from the table's folder on, its class, and perhaps its split: one of
  the names of `folder.TRAIN` and `folder.TEST`. A path may be written as on Windows. Commas,
  semicolons or tabs separate the columns. A header may name them, in any order, and others beside
  them. Without a column of splits, the images are split at random (`labelled_files.arranged`).

  Args:
    table: the file.

  Raises:
    UserError: the file is no such table, files that it names are missing or named twice, or they
      make no data set.
  """
  root = table.parent.resolve()
  rows = [(_found(root, path), label, split) for path, label, split in _rows(table)]
  _check(table, root, rows)
  return arranged(table, root, [(root / path, label, split) for path, label, split in rows])


def _rows(table: Path) -> Iterator[tuple[str, str, str]]:
  """Yield (path, label, split) of each row; '' where there is no column of splits."""
  try:
    if table.stat().st_size > _LIMIT:
      raise UserError(f'{table} has more than {_LIMIT:,} bytes; a table of images is smaller')
    text = table.read_text('utf-8-sig')
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f'{table} cannot be read as text ({first_line(error)}); mend it') from error
  head = next(filter(str.strip, io.StringIO(text)), '')
  delimiter = max(',;\t', key=head.count)
  try:
    lines = [
      (number, [cell.strip() for cell in row])
      for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), start=1)
      if any(map(str.strip, row))
    ]
  except csv.Error as error:
    raise UserError(f'{table} is no table ({first_line(error)}); mend it') from error
  if not lines:
    raise UserError(f'{table} is empty; a row with path and class is needed for each image')
  columns = _columns(lines[0][1])
  header = columns is not None
  if columns is None:
    columns = {name: index for index, name in enumerate(_COLUMNS) if index < len(lines[0][1])}
  if not {'path', 'label'} <= columns.keys():
    raise UserError(
      f'{table} has one column in its first row; path and class are needed, e.g. cat/1.jpg,cat'
    )
  for number, row in lines[header:]:
    if len(row) <= max(columns.values()):
      raise UserError(
        f'{table}, row {number} has {len(row)} columns, and {max(columns.values()) + 1} are needed'
      )
    path, label = row[columns['path']], row[columns['label']]
    if not path or not label or label.splitlines() != [label]:
      raise UserError(f'{table}, row {number} has no path or no class of one line; mend it')
    yield path, label, row[columns['split']] if 'split' in columns else ''


def _columns(cells: Sequence[str]) -> dict[str, int] | None:
  """Return {column: its position} where a row is a header, or None."""
  small = [cell.lower() for cell in cells]
  found = {
    column: small.index(next(name for name in names if name in small))
    for column, names in _COLUMNS.items()
    if {*names} & {*small}
  }
  return found if {'path', 'label'} <= found.keys() else None


def _found(root: Path, path: str) -> str:
  """Return a path as it stands here; a table that was made on Windows has backslashes in it."""
  ours = path.replace('\\', '/')
  alone = ours != path and not os.path.isfile(root / path)
  return ours if alone and os.path.isfile(root / ours) else path


def _check(table: Path, root: Path, rows: Sequence[tuple[str, str, str]]) -> None:
  """Raise UserError for files that are missing, and for those that are named twice."""
  named = dict.fromkeys(path for path, _, _ in rows)
  if missing := [path for path in named if not os.path.isfile(root / path)]:
    raise UserError(
      f'{table} names {len(missing):,} files that are not there: {listed(missing)}; paths start in'
      f' {root}'
    )
  # A path has many spellings, and the folders that lead to it may be links.
  resolved = functools.cache(os.path.realpath)
  paths = [root / path for path, _, _ in rows]
  count = collections.Counter(os.path.join(resolved(path.parent), path.name) for path in paths)
  if twice := sorted(os.path.relpath(path, root) for path, number in count.items() if number > 1):
    raise UserError(f'{table} names files twice: {listed(twice)}; leave one row of each')
