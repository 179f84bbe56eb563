"""The metrics of a run as events that TensorBoard shows."""

import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter

# Protobuf makes these classes at import.
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]


class TensorBoardEvents:
  """A file of events, written in the calling thread.

  tensorboardX's SummaryWriter writes in a thread of its own. That thread dies on a full disk, and
  the next flush waits forever.
  """

  def __init__(self, folder: pathlib.Path, step: int):
    """Open a new file.

    Args:
      folder: of the events; made if it is missing.
      step: where the training goes on. TensorBoard drops what earlier files hold after it.
    """
    folder.mkdir(exist_ok=True)
    # The default name has whole seconds, and two starts may fall into the same one.
    self._writer = EventsWriter(str(folder / 'events'), filename_suffix=f'.{time.time_ns()}')
    if step:
      start = SessionLog(status=SessionLog.START)
      self._add(step + 1, session_log=start)

  def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the numbers of type float in rows of metrics."""
    for row in rows:
      for name, value in row.items():
        if isinstance(value, float):
          self._add(row['step'], summary=summary.scalar(f'{row["member"]}/{name}', value))
    self._writer.flush()

  def _add(self, step: int, **content: Any) -> None:
    self._writer.write_event(Event(wall_time=time.time(), step=step, **content))

  def close(self) -> None:
    self._writer.close()
