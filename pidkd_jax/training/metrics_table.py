"""The rows of a run's metrics as a table, metrics.csv."""

import collections
import csv
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

# In this order, before the metrics.
_FIRST = ('step', 'epoch', 'member', 'label', 'cumulative_seconds')


class MetricsTable:
  """Keep a CSV file with the rows of metrics.jsonl, in their order.

  `cumulative_seconds` is the sum of a member's `wall_seconds` so far. A value that a row lacks is
  an empty cell.
  """

  def __init__(self, path: pathlib.Path, rows: Sequence[Mapping[str, Any]]):
    """Write the file anew.

    Args:
      path: of the file.
      rows: all rows so far.
    """
    self._path = path
    self._seconds = collections.defaultdict(float)
    self._lines = list(map(self._timed, rows))
    self._columns: list[str] = []
    self._write()

  def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows; with a new metric among them, the whole file is written anew."""
    lines = list(map(self._timed, rows))
    self._lines += lines
    if any(name not in self._columns for line in lines for name in line):
      self._write()
    else:
      with self._path.open('a', newline='', encoding='utf-8') as file:
        self._writer(file).writerows(lines)

  def _timed(self, row: Mapping[str, Any]) -> dict[str, Any]:
    if 'wall_seconds' not in row:
      return dict(row)
    self._seconds[row['member']] += row['wall_seconds']
    return {**row, 'cumulative_seconds': round(self._seconds[row['member']], 3)}

  def _write(self) -> None:
    found = dict.fromkeys(name for line in self._lines for name in line)
    self._columns = [*_FIRST, *(name for name in found if name not in _FIRST)]
    part = self._path.with_suffix('.partial-csv')
    with part.open('w', newline='', encoding='utf-8') as file:
      writer = self._writer(file)
      writer.writeheader()
      writer.writerows(self._lines)
    os.replace(part, self._path)

  def _writer(self, file: Any) -> csv.DictWriter:
    return csv.DictWriter(file, self._columns, restval='', lineterminator='\n')
