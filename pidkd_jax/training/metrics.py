"""The figures of a run as they come: metrics.jsonl and TensorBoard's events."""

import json
import os
import pathlib
from typing import Any

from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes

Row = dict[str, Any]


def read(workdir: pathlib.Path) -> list[Row]:
  """The rows of a run's metrics.jsonl in their order; a last line cut short by a kill is left out.

  Raises:
    UserError: another line is damaged.
  """
  path = workdir / 'metrics.jsonl'
  lines = path.read_text(errors='replace').splitlines() if path.exists() else []
  rows = []
  for number, line in enumerate(lines, start=1):
    try:
      row = json.loads(line)
      rows.append({**row, 'step': int(row['step']), 'member': str(row['member'])})
    except (ValueError, TypeError, KeyError) as error:
      if number < len(lines):
        raise UserError(
          f'{str(path)!r} is damaged at line {number}; mend it, or remove the run to start over'
        ) from error
  return rows


class MetricsLog:
  """Appends rows; after a resume it goes on where the checkpoint stands."""

  def __init__(self, workdir: pathlib.Path, step: int):
    """Drops what was written after `step`, as it will be computed again."""
    rows = [row for row in read(workdir) if row['step'] <= step]
    self._path = workdir / 'metrics.jsonl'
    processes.barrier('metrics')  # All have read it.
    if processes.is_primary():
      part = self._path.with_suffix('.partial')
      part.write_text(''.join(json.dumps(row) + '\n' for row in rows))
      os.replace(part, self._path)
    self._folder, self._step = workdir / 'tensorboard', step
    self._events = None

  def write(self, rows: list[Row]) -> None:
    """Adds rows of figures; each has 'step', 'epoch' and 'member'."""
    if not processes.is_primary():
      return
    with self._path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in rows)
    if self._events is None:
      # Only now: it imports PyTorch where that is installed, for which training need not wait.
      from pidkd_jax.training.tensorboard import TensorBoardEvents

      self._events = TensorBoardEvents(self._folder, self._step)
    self._events.write(rows)

  def close(self) -> None:
    if self._events is not None:
      self._events.close()
