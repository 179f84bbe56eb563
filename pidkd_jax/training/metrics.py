"""The log of a run's metrics: metrics.jsonl and TensorBoard's events."""

import json
import os
import pathlib
from typing import Any

from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes

Row = dict[str, Any]


def read(workdir: pathlib.Path) -> list[Row]:
  """Return the rows of a run's metrics.jsonl; a last line that a kill cut short is left out.

  Raises:
    UserError: the file cannot be read, or a line before the last is damaged.
  """
  path = workdir / 'metrics.jsonl'
  try:
    text = regular_file.read_text(path, 'replace') if path.exists() else ''
  except OSError as error:
    raise UserError(
      f'{str(path)!r} cannot be read: {error.strerror}; mend it, or remove the run to start over'
    ) from error
  lines = text.splitlines()
  rows = []
  for number, line in enumerate(lines, start=1):
    try:
      row = json.loads(line)
      rows.append({**row, 'step': int(row['step']), 'member': str(row['member'])})
    except (ValueError, TypeError, KeyError, OverflowError) as error:
      if number < len(lines):
        raise UserError(
          f'{str(path)!r} is damaged at line {number}; mend it, or remove the run to start over'
        ) from error
  return rows


class MetricsLog:
  """Append rows of metrics to a run's files."""

  def __init__(self, workdir: pathlib.Path, step: int):
    """Open the log of a run.

    Args:
      workdir: the run's folder.
      step: where the training goes on. Rows after it are dropped, as they will be computed again.
    """
    rows = [row for row in read(workdir) if row['step'] <= step]
    self._path = workdir / 'metrics.jsonl'
    processes.barrier('metrics')  # All processes have read it.
    if processes.is_primary():
      part = self._path.with_suffix('.partial')
      part.write_text(''.join(json.dumps(row) + '\n' for row in rows))
      os.replace(part, self._path)
    self._folder, self._step = workdir / 'tensorboard', step
    self._events = None

  def write(self, rows: list[Row]) -> None:
    """Append rows; each has 'step', 'epoch', 'member' and 'label' beside its metrics."""
    if not processes.is_primary():
      return
    with self._path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in rows)
    if self._events is None:
      # Late: it imports PyTorch where that is installed, and training need not wait.
      from pidkd_jax.training.tensorboard import TensorBoardEvents

      self._events = TensorBoardEvents(self._folder, self._step)
    self._events.write(rows)

  def close(self) -> None:
    if self._events is not None:
      self._events.close()
