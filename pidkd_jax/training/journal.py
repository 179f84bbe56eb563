"""The figures of a run as they come: metrics.jsonl and TensorBoard's events."""

import json
import os
import pathlib
import time
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

from pidkd_jax.errors import UserError

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
      rows.append({**row, 'step': int(row['step'])})
    except (ValueError, TypeError, KeyError) as error:
      if number < len(lines):
        raise UserError(
          f'{str(path)!r} is damaged at line {number}; mend it, or remove the run to start over'
        ) from error
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
    self._events = _Events(workdir / 'tensorboard', step)

  def write(self, rows: list[Row]) -> None:
    """Adds rows of figures; each has 'step', 'epoch' and 'member'."""
    with self._path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in rows)
    self._events.write(rows)
    self.rows += rows

  def close(self) -> None:
    self._events.close()


class _Events:
  """The same figures for TensorBoard.

  Written at once: tensorboardX's SummaryWriter writes from a thread, which dies on a full disk and
  then lets the next flush wait for ever.
  """

  def __init__(self, folder: pathlib.Path, step: int):
    folder.mkdir(exist_ok=True)
    # Its own name has seconds only, and two starts may fall into one.
    self._writer = EventsWriter(str(folder / 'events'), filename_suffix=f'.{time.time_ns()}')
    if step:
      # Tells TensorBoard that what earlier files have from here on is void.
      start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      self._add(step + 1, session_log=start)

  def write(self, rows: list[Row]) -> None:
    for row in rows:
      for name, value in row.items():
        if isinstance(value, float):
          self._add(row['step'], summary=summary.scalar(f'{row["member"]}/{name}', value))
    self._writer.flush()

  def _add(self, step: int, **content: Any) -> None:
    self._writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, **content))

  def close(self) -> None:
    self._writer.close()
