"""What a command prints at its end, in the width that is there: tables, sentences and paths.

Nothing is cut. Words wrap, and numbers stay whole. There is no colour, so that every terminal, a
pipe and a file show the same.
"""

import dataclasses
import io
import os
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich import box, cells
from rich.console import Console
from rich.table import Table as RichTable

from pidkd_jax.core.errors import printable

# Columns where the output is no terminal, so that it is the same everywhere.
_PLAIN = 80
# Columns that sentences take at most, as longer lines are hard to read.
_SENTENCE = 100
# Columns that a column of words keeps at least.
_LEAST = 10
_GAP = 2
# A rule of ASCII below the headings, as older encodings lack the usual character.
_RULE = box.Box('    \n    \n -- \n    \n    \n    \n    \n    \n', ascii=True)


def width() -> int:
  """Return the columns of the terminal that standard output is; 80 where it is none."""
  try:
    if sys.stdout and sys.stdout.isatty():
      return os.get_terminal_size(sys.stdout.fileno()).columns or _PLAIN
  except (OSError, ValueError):
    pass
  return _PLAIN


def paragraph(text: str, columns: int | None = None) -> str:
  """Return a sentence in lines; no word is broken.

  Args:
    text: without line breaks.
    columns: of a line; by default those that are there, and at most 100.
  """
  columns = columns or width()
  return textwrap.fill(
    printable(text),
    min(columns, _SENTENCE),
    break_long_words=False,
    break_on_hyphens=False,
  )


def places(paths: Mapping[str, Sequence[str]], columns: int | None = None) -> str:
  """Return a line for each kind of file that says where it lies; no path is broken.

  Args:
    paths: {kind: paths}. A kind without paths has no line.
    columns: of a line, which a single path may exceed; by default those that are there.

  Example:
    >>> print(places({'report': ['runs/a/report.md'], 'pictures': ['runs/a/curves.png']}))
    Report:    runs/a/report.md
    Pictures:  runs/a/curves.png
  """
  columns = columns or width()
  named = {f'{kind.capitalize()}:': files for kind, files in paths.items() if files}
  margin = max(map(len, named), default=0) + 2
  lines = []
  for name, files in named.items():
    first, *others = map(printable, files)
    lines.append(name.ljust(margin) + first)
    for other in others:
      if len(lines[-1]) + len(other) + 3 <= columns:
        lines[-1] += f', {other}'
      else:
        lines[-1] += ','
        lines.append(' ' * margin + other)
  return '\n'.join(lines)


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of texts.

  Attributes:
    headings: of the columns.
    rows: of cells, one for each column.
    words: positions of the columns of words, which wrap and stand left. All others hold numbers,
      which stay whole and stand right; their headings wrap.
  """

  headings: Sequence[str]
  rows: Sequence[Sequence[str]]
  words: Collection[int] = (0,)

  def render(self, columns: int | None = None) -> str:
    """Return the table as lines of at most so many columns; by default those that are there.

    The lines are longer where the numbers alone do not fit.
    """
    columns = columns or width()
    rows = [[printable(cell) for cell in row] for row in self.rows]
    table = RichTable(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 0, 0, _GAP - 1))
    needed = 0
    for position, heading in enumerate(map(printable, self.headings)):
      own = [row[position] for row in rows]
      if position in self.words:
        table.add_column(heading, overflow='fold')
        needed += min(_LEAST, max(map(cells.cell_len, [heading, *own]))) + _GAP
      else:
        size = max(map(cells.cell_len, [*(heading.split() or ['']), *own]))
        table.add_column(heading, width=size, justify='right', overflow='fold')
        needed += size + _GAP
    for row in rows:
      table.add_row(*row)
    file = io.StringIO()
    console = Console(
      file=file,
      width=max(columns, needed),
      color_system=None,
      markup=False,
      emoji=False,
      highlight=False,
      legacy_windows=False,
      force_jupyter=False,  # There it would print in place of writing.
    )
    console.print(table)
    return '\n'.join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


@dataclasses.dataclass(frozen=True)
class Summary:
  """What a finished run says on the screen; `str` fits it to the width that is there.

  Attributes:
    title: a sentence above the table.
    table: of the results.
    notes: sentences below it.
    folder: in which all places lie.
    places: {kind of file: paths in the folder}.
  """

  title: str
  table: Table
  notes: Sequence[str]
  folder: str = ''
  places: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

  def render(self, columns: int | None = None) -> str:
    """Return it in lines of so many columns; by default those that are there."""
    paths = {
      # The first path is whole, and the others are its neighbours.
      kind: [os.path.join(self.folder, name) if i == 0 else name for i, name in enumerate(names)]
      for kind, names in self.places.items()
    }
    parts = [
      paragraph(self.title, columns),
      self.table.render(columns),
      *(paragraph(note, columns) for note in self.notes),
      places(paths, columns),
    ]
    return '\n\n'.join(part for part in parts if part)

  def __str__(self) -> str:
    return self.render()

  def to_json(self) -> dict[str, Any]:
    """Return it as JSON values, without the folder."""
    return {name: value for name, value in dataclasses.asdict(self).items() if name != 'folder'}

  @classmethod
  def from_json(cls, value: Any, folder: str) -> 'Summary':
    """Return what `to_json` gave.

    Raises:
      ValueError, TypeError, KeyError, AttributeError: It is something else.
    """
    headings = tuple(map(str, value['table']['headings']))
    rows = tuple(tuple(map(str, row)) for row in value['table']['rows'])
    words = tuple(map(int, value['table']['words']))
    if not headings or any(len(row) != len(headings) for row in rows):
      raise ValueError('its rows do not fit its headings')
    return cls(
      str(value['title']),
      Table(headings, rows, words),
      tuple(map(str, value['notes'])),
      folder,
      {str(kind): tuple(map(str, names)) for kind, names in value['places'].items()},
    )
