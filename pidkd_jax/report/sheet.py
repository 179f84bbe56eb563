"""A table, for readers as Markdown and for programs as CSV."""

import csv
import dataclasses
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of a table.

  Attributes:
    heading: for readers.
    cells: for readers, one a row.
    values: {heading: one a row, None where there is none} for programs.
  """

  heading: str
  cells: Sequence[str]
  values: Mapping[str, Sequence[float | str | None]]


def words(heading: str, cells: Sequence[str]) -> Column:
  """A column of text."""
  return Column(heading, cells, {heading: cells})


def numbers(heading: str, values: Sequence[Sequence[float]], digits: int) -> Column:
  """A column of means ± sample standard deviations.

  Args:
    heading: with the unit.
    values: of the trials of each row; none for an empty cell.
    digits: behind the point.
  """
  means = [statistics.mean(own) if own else None for own in values]
  spreads = [statistics.stdev(own) if len(own) > 1 else None for own in values]
  return Column(
    heading,
    [written(own, digits) for own in values],
    {heading: means, f'{heading}, standard deviation': spreads},
  )


def written(values: Sequence[float], digits: int) -> str:
  """Mean ± sample standard deviation; what is the same in every trial has no spread to speak of."""
  if not values:
    return ''
  text = f'{statistics.mean(values):.{digits}f}'
  if len(values) > 1 and not math.isclose(min(values), max(values)):
    text += f' ± {statistics.stdev(values):.{digits}f}'
  return text


def markdown(columns: Sequence[Column]) -> str:
  """The table with aligned bars."""
  lines = zip(*([column.heading, *column.cells] for column in columns), strict=True)
  rows = [[cell.replace('|', '\\|') for cell in line] for line in lines]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  rows.insert(1, ['-' * width for width in widths])
  return '\n'.join(
    '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + ' |'
    for row in rows
  )


def save(columns: Sequence[Column], path: pathlib.Path) -> None:
  """Writes the values as CSV; columns without any are left out."""
  found = {
    heading: values
    for column in columns
    for heading, values in column.values.items()
    if any(value is not None for value in values)
  }
  with path.open('w', newline='') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(found)
    for row in zip(*found.values(), strict=True):
      # Ten digits leave out what is noise of the binary form.
      writer.writerow([f'{v:.10g}' if isinstance(v, float) else v for v in row])
