"""SIGTERM and Ctrl-C as a wish that training loops see between two steps."""

import signal
from types import FrameType


class Preemption:
  """Within its context the first SIGTERM or SIGINT is noted; a second one acts as ever.

  Python lets the main thread alone enter it; others may look.

  Attributes:
    wanted: whether loops shall stop.
    signal: what was noted, or None.
  """

  def __init__(self, at_once: bool = False):
    """`at_once`: a second signal ends the process, where Ctrl-C would wait for other threads."""
    self.requested = False
    self.signal: signal.Signals | None = None
    self._at_once = at_once
    self._before = {}

  def request(self) -> None:
    """Wants a stop without a signal."""
    self.requested = True

  def __enter__(self) -> 'Preemption':
    for number in (signal.SIGTERM, signal.SIGINT):
      self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *_) -> None:
    self._restore()

  def _note(self, number: int, frame: FrameType | None) -> None:
    del frame
    self.signal = signal.Signals(number)
    self.requested = True
    self._restore()
    for number in self._before if self._at_once else ():
      signal.signal(number, signal.SIG_DFL)

  def _restore(self) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)
