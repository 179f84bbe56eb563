"""SIGTERM and Ctrl-C as a wish that the training loop sees between two steps."""

import signal
from types import FrameType


class Interruption:
  """Within its context the first SIGTERM or SIGINT is noted; a second one acts as ever.

  Attributes:
    signal: what was noted, or None.
  """

  def __init__(self):
    self.signal: signal.Signals | None = None
    self._before = {}

  def __enter__(self) -> 'Interruption':
    for number in (signal.SIGTERM, signal.SIGINT):
      self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *_) -> None:
    self._restore()

  def _note(self, number: int, frame: FrameType | None) -> None:
    del frame
    self.signal = signal.Signals(number)
    self._restore()

  def _restore(self) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)
