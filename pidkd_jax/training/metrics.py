"""The log of a run's metrics: metrics.jsonl, metrics.csv, TensorBoard's events, other writers."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes
from pidkd_jax.training import writers
from pidkd_jax.training.metrics_table import MetricsTable
from pidkd_jax.training.writers import ChosenWriters, Training

Row = dict[str, Any]

# The member whose rows have the teacher's values.
TEACHER = 'teacher'


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
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
      if number < len(lines):
        raise UserError(
          f'{str(path)!r} is damaged at line {number}; mend it, or remove the run to start over'
        ) from error
  return rows


def describe(workdir: pathlib.Path, members: Mapping[str, Mapping[str, Any]]) -> Training:
  """Return what writers know of a training; a part's configuration lies one folder higher.

  Args:
    workdir: the training's folder.
    members: {member: its own settings, JSON values}.
  """
  part = (workdir.parent / 'parts.json').exists()
  whole = workdir.parent if part else workdir
  path = whole / 'config.json'
  configuration = regular_file.read_object(path) if path.exists() else None
  return Training(workdir, whole.name, configuration=configuration, members=members)


class MetricsLog:
  """Append rows of metrics to a run's files, and pass them to the chosen writers."""

  def __init__(self, workdir: pathlib.Path, step: int, chosen: ChosenWriters = writers.NONE):
    """Open the log of a run.

    Args:
      workdir: the run's folder.
      step: where the training goes on. Rows after it are dropped, as they will be computed again.
      chosen: further writers. They get the rows that are there, too; they know what they have.
    """
    rows = [row for row in read(workdir) if row['step'] <= step]
    self._path = workdir / 'metrics.jsonl'
    processes.barrier('metrics')  # All processes have read it.
    if processes.is_primary():
      part = self._path.with_suffix('.partial')
      part.write_text(''.join(json.dumps(row) + '\n' for row in rows))
      os.replace(part, self._path)
      self._table = MetricsTable(workdir / 'metrics.csv', rows)
      chosen.write(rows)
    self._workdir, self._step, self._chosen = workdir, step, chosen
    self._events = None

  def write(self, rows: list[Row], teacher: Mapping[str, float] | None = None) -> None:
    """Append rows.

    Args:
      rows: each has 'step', 'epoch', 'member' and 'label' beside its metrics.
      teacher: the teacher's metrics, for a level line beside the rows; None where there are none.
    """
    if not processes.is_primary():
      return
    with self._path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in rows)
    self._table.append(rows)
    # Late: it imports PyTorch where that is installed, and training need not wait.
    from pidkd_jax.training.writers import tensorboard

    if self._events is None:
      training = dataclasses.replace(describe(self._workdir, {}), step=self._step)
      self._events = tensorboard.TensorBoard(training)
    level = [{'member': TEACHER, 'step': rows[0]['step'], **teacher}] if teacher else []
    self._events.write([*rows, *level])
    self._chosen.write([*rows, *level])

  def close(self) -> None:
    if self._events is not None:
      self._events.close(complete=True)
