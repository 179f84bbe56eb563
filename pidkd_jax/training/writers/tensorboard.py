"""The metrics of a run as events that TensorBoard shows."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter

# Protobuf makes these classes at import.
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]

from pidkd_jax.training.writers.writer import Training, Writer, floats


class TensorBoard(Writer):
  """Folders of events, one for each member and one for the teacher, which TensorBoard calls runs.

  A metric has the same tag in all of them, so that TensorBoard draws the members into one chart.
  The events are written in the calling thread. tensorboardX's SummaryWriter writes in a thread of
  its own, which dies on a full disk, and the next flush waits forever.
  """

  def __init__(self, training: Training):
    """Begin to write; TensorBoard drops what earlier files hold after the training's step."""
    self._folder, self._step = training.folder / 'tensorboard', training.step
    self._writers: dict[str, EventsWriter] = {}
    if training.configuration is not None and self._step == 0:
      # TensorBoard shows Markdown. Four spaces make a block of code, whatever it holds.
      lines = json.dumps(training.configuration, indent=2).splitlines()
      text = '\n'.join(f'    {line}' for line in lines)
      self._add('', 0, summary=summary.text('configuration', text))

  def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of metrics, each to its member's folder."""
    for row in rows:
      for name, value in floats(row).items():
        self._add(row['member'], row['step'], summary=summary.scalar(name, value))
    for writer in self._writers.values():
      writer.flush()

  def _add(self, run: str, step: int, **content: Any) -> None:
    if run not in self._writers:
      folder = self._folder / run
      folder.mkdir(parents=True, exist_ok=True)
      resumed = any(folder.glob('events*'))
      # The default name has whole seconds, and two starts may fall into the same one.
      suffix = f'.{time.time_ns()}'
      self._writers[run] = EventsWriter(str(folder / 'events'), filename_suffix=suffix)
      if resumed:
        # A training that was killed before its first checkpoint begins anew, at step 0.
        start = self._step + 1 if self._step else 0
        self._add(run, start, session_log=SessionLog(status=SessionLog.START))
    self._writers[run].write_event(Event(wall_time=time.time(), step=step, **content))

  def close(self, complete: bool) -> None:
    del complete
    for writer in self._writers.values():
      writer.close()
