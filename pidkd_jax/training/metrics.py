"""The log of a run's metrics: metrics.jsonl, metrics.csv and TensorBoard's events."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes
from pidkd_jax.training.metrics_table import MetricsTable

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
      self._table = MetricsTable(workdir / 'metrics.csv', rows)
    self._workdir, self._step = workdir, step
    self._events = None

  def write(self, rows: list[Row], teacher: Mapping[str, float] | None = None) -> None:
    """Append rows.

    Args:
      rows: each has 'step', 'epoch', 'member' and 'label' beside its metrics.
      teacher: the teacher's metrics, for a level line in TensorBoard; None where there are none.
    """
    if not processes.is_primary():
      return
    with self._path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in rows)
    self._table.append(rows)
    # Late: it imports PyTorch where that is installed, and training need not wait.
    from pidkd_jax.training import tensorboard

    if self._events is None:
      self._events = tensorboard.TensorBoardEvents(self._workdir / 'tensorboard', self._step)
      if (configuration := self._configuration()) is not None:
        self._events.describe(configuration)
    level = {'member': tensorboard.TEACHER, 'step': rows[0]['step'], **(teacher or {})}
    self._events.write([*rows, level])

  def _configuration(self) -> Any:
    """Return what config.json holds; None without one. A part's lies one folder higher."""
    part = (self._workdir.parent / 'parts.json').exists()
    path = (self._workdir.parent if part else self._workdir) / 'config.json'
    return regular_file.read_json(path) if path.exists() else None

  def close(self) -> None:
    if self._events is not None:
      self._events.close()
