"""The figures of a run as events, which TensorBoard shows."""

import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2


class TensorBoardEvents:
  """A file of events.

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

  def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
      for name, value in row.items():
        if isinstance(value, float):
          self._add(row['step'], summary=summary.scalar(f'{row["member"]}/{name}', value))
    self._writer.flush()

  def _add(self, step: int, **content: Any) -> None:
    self._writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, **content))

  def close(self) -> None:
    self._writer.close()
