"""SIGTERM, SIGHUP and Ctrl-C as a request that training loops read between two steps."""

import signal
import threading
from types import FrameType


class Terminated(KeyboardInterrupt):
  """A signal to stop outside of a training loop; no `except Exception` catches it.

  Attributes:
    signal: the signal.
  """

  def __init__(self, number: int):
    super().__init__()
    self.signal = signal.Signals(number)

  def __reduce__(self):
    return type(self), (self.signal,), self.__dict__


def raise_terminated() -> None:
  """Make SIGTERM, SIGHUP and Ctrl-C raise `Terminated`, so that unfinished files are removed."""

  def terminate(number: int, frame: FrameType | None) -> None:
    del frame
    raise Terminated(number)

  for number in _ending():
    signal.signal(number, terminate)


def _ending() -> list[signal.Signals]:
  """Return the signals that ask a program to end, without those that it ignores."""
  known = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
  return [number for number in known if signal.getsignal(number) != signal.SIG_IGN]


class Preemption:
  """A context that turns the first SIGTERM, SIGHUP or SIGINT into a request to stop.

  An ignored signal stays ignored, as `nohup` asks for. A second signal reaches the handlers from
  before. Off the main thread, where Python allows no signal handlers, the context installs none:
  only `request` can then ask for a stop. Any thread may read the attributes.

  Attributes:
    requested: whether training loops are to save and stop.
    signal: the signal that was received, or None.

  Example:
    >>> with Preemption() as preemption:
    ...   signal.raise_signal(signal.SIGTERM)
    ...   preemption.requested, preemption.signal.name
    (True, 'SIGTERM')
  """

  def __init__(self, second_ends_process: bool = False):
    """Create the context.

    Args:
      second_ends_process: whether a second signal ends the process at once. Otherwise a second
        Ctrl-C waits for other threads.
    """
    self.requested = False
    self.signal: signal.Signals | None = None
    self._second_ends_process = second_ends_process
    self._previous_handlers = {}

  def request(self) -> None:
    """Ask for a stop without a signal."""
    self.requested = True

  def __enter__(self) -> 'Preemption':
    if threading.current_thread() is threading.main_thread():
      for number in _ending():
        self._previous_handlers[number] = signal.signal(number, self._receive)
    return self

  def __exit__(self, *_) -> None:
    self._restore()

  def _receive(self, number: int, frame: FrameType | None) -> None:
    del frame
    self.signal = signal.Signals(number)
    self.requested = True
    self._restore()
    for number in self._previous_handlers if self._second_ends_process else ():
      signal.signal(number, signal.SIG_DFL)

  def _restore(self) -> None:
    for number, handler in self._previous_handlers.items():
      signal.signal(number, handler)
