"""Tables: Markdown for readers, LaTeX for papers, CSV for programs, and what a screen shows."""

import csv
import dataclasses
import math
import pathlib
import re
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence

from pidkd_jax.core import screen
from pidkd_jax.core.errors import printable


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of a table.

  Attributes:
    heading: the heading.
    cells: the cells as they are read, one for each row.
    values: {heading: values} of the CSV columns, one value for each row; None for an empty cell.
    bold: the rows whose cells are in bold, in Markdown and LaTeX.
  """

  heading: str
  cells: Sequence[str]
  values: Mapping[str, Sequence[float | str | None]]
  bold: Collection[int] = ()

  @property
  def is_text(self) -> bool:
    """Whether the values are words."""
    return any(isinstance(value, str) for values in self.values.values() for value in values)


def text_column(heading: str, cells: Sequence[str]) -> Column:
  """Return a column of text."""
  return Column(heading, cells, {heading: cells})


def mean_column(
  heading: str, values: Sequence[Sequence[float]], digits: int, sign: str = ''
) -> Column:
  """Return a column of means ± sample standard deviations.

  Args:
    heading: the heading, with the unit.
    values: for each row one value a trial; an empty sequence makes an empty cell.
    digits: digits after the decimal point.
    sign: '+' where the values are differences.
  """
  means = [statistics.mean(row) if row else None for row in values]
  deviations = [statistics.stdev(row) if len(row) > 1 else None for row in values]
  return Column(
    heading,
    [format_mean(row, digits, sign) for row in values],
    {heading: means, f'{heading}, standard deviation': deviations},
  )


def format_mean(values: Sequence[float], digits: int, sign: str = '') -> str:
  """Format mean ± sample standard deviation; equal values have no deviation to show.

  Example:
    >>> format_mean([50.0, 52.0], digits=2)
    '51.00 ± 1.41'
  """
  if not values:
    return ''
  text = f'{statistics.mean(values):{sign}.{digits}f}'
  if len(values) > 1 and not math.isclose(min(values), max(values)):
    text += f' ± {statistics.stdev(values):.{digits}f}'
  return text


def to_markdown(columns: Sequence[Column]) -> str:
  """Return the table as Markdown with aligned bars."""
  rows = list(zip(*(_lines(column, escape, '**{}**') for column in columns), strict=True))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  rows.insert(1, tuple('-' * width for width in widths))
  return '\n'.join(
    '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + ' |'
    for row in rows
  )


def to_latex(columns: Sequence[Column]) -> str:
  """Return the table as a LaTeX `tabular` in the style of the package booktabs."""
  places = ''.join('l' if column.is_text else 'r' for column in columns)
  cells = (_lines(column, _latex, r'\textbf{{{}}}') for column in columns)
  heading, *rows = (f'{" & ".join(line)} \\\\' for line in zip(*cells, strict=True))
  lines = [
    '% \\usepackage{booktabs}',
    f'\\begin{{tabular}}{{{places}}}',
    '\\toprule',
    heading,
    '\\midrule',
    # After a rule or a line break, a bracket or a star would be LaTeX's.
    *(f'{{}}{row}' if row[0] in '[*' else row for row in rows),
    '\\bottomrule',
    '\\end{tabular}',
  ]
  return '\n'.join(lines) + '\n'


def _lines(column: Column, encode: Callable[[str], str], mark: str) -> list[str]:
  """Return the heading and the cells of a column in a format, those in bold within its mark."""
  # A line break would end the table.
  heading, *cells = (
    encode(' '.join(text.splitlines())) for text in (column.heading, *column.cells)
  )
  bold = (
    mark.format(cell) if row in column.bold and cell else cell for row, cell in enumerate(cells)
  )
  return [heading, *bold]


def escape(text: str) -> str:
  """Return a text as one line that Markdown shows as it is; names in it may come from anyone.

  Example:
    >>> print(escape('resnet14*0.5 on <b>[x](y)'))
    resnet14\\*0.5 on \\<b>[x\\](y)
  """
  line = printable(' '.join(text.splitlines()))
  # Emphasis, cells, tags and links.
  return re.sub(r'[\\*|]|<(?=[A-Za-z/!?])|\](?=[(\[:])', r'\\\g<0>', line)


# LaTeX's special characters, and the signs that its fonts lack or have other signs for.
_LATEX = {
  **{sign: f'\\{sign}' for sign in '&%$#_{}'},
  '\\': r'\textbackslash{}',
  '~': r'\textasciitilde{}',
  '^': r'\textasciicircum{}',
  '±': r'$\pm$',
  '×': r'$\times$',
  '→': r'$\to$',
  **{sign: f'${sign}$' for sign in '<>|'},
  '"': r'\texttt{"}',
}


def _latex(text: str) -> str:
  """Return a cell as LaTeX, with true minus signs before numbers."""
  escaped = ''.join(_LATEX.get(sign, sign) for sign in text)
  return re.sub(r'(?<![\w.)-])-(?=[\d.])', '$-$', escaped)


def to_screen(columns: Sequence[Column]) -> screen.Table:
  """Return the table for a screen; the columns whose values are text are columns of words."""
  words = [position for position, column in enumerate(columns) if column.is_text]
  rows = zip(*(column.cells for column in columns), strict=True)
  headings = tuple(column.heading for column in columns)
  return screen.Table(headings, tuple(rows), tuple(words))


def write_csv(columns: Sequence[Column], path: pathlib.Path) -> None:
  """Write the values as CSV, without columns that are empty in every row."""
  table = {
    heading: values
    for column in columns
    for heading, values in column.values.items()
    if any(value is not None for value in values)
  }
  with path.open('w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
      # Ten digits leave out the noise of binary fractions.
      writer.writerow([f'{v:.10g}' if isinstance(v, float) else v for v in row])
