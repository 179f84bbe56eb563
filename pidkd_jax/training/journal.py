"""The figures of a run as they come: metrics.jsonl and TensorBoard's events."""

import json
import os
import pathlib
from typing import Any

import tensorboardX

Row = dict[str, Any]


def read(workdir: pathlib.Path) -> list[Row]:
  """The rows of a run's metrics.jsonl in their order; a line cut short by a kill is left out."""
  path = workdir / 'metrics.jsonl'
  rows = []
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      rows.append(json.loads(line))
    except ValueError:
      break
  return rows


class Journal:
  """Appends rows; after a resume it goes on where the checkpoint stands.

  Attributes:
    rows: all rows so far, those before a resume included.
  """

  def __init__(self, workdir: pathlib.Path, step: int):
    """Drops what was written after `step`, as it will be computed again."""
    self.rows = [row for row in read(workdir) if row['step'] <= step]
    self._path = workdir / 'metrics.jsonl'
    part = self._path.with_suffix('.partial')
    part.write_text(''.join(json.dumps(row) + '\n' for row in self.rows))
    os.replace(part, self._path)
    self._events = tensorboardX.SummaryWriter(
        str(workdir / 'tensorboard'), purge_step=step + 1 if step else None
    )

  def write(self, rows: list[Row]) -> None:
    """Adds rows of numbers; each has 'step', 'epoch' and 'member'."""
    with self._path.open('a') as file:
      for row in rows:
        file.write(json.dumps(row) + '\n')
        for name, value in row.items():
          if isinstance(value, float):
            self._events.add_scalar(f'{row["member"]}/{name}', value, row['step'])
    self._events.flush()
    self.rows += rows

  def close(self) -> None:
    self._events.close()
