"""Where log records go: to the terminal, and with time stamps to a run's log.txt."""

import contextlib
import errno
import logging
import logging.handlers
import os
import pathlib
import sys
import textwrap
from collections.abc import Iterator

import tqdm
from absl import logging as absl_logging

from pidkd_jax.core.errors import Stopped, UserError, printable

FILE = 'log.txt'

logger = logging.getLogger(__name__)

_PACKAGE = 'pidkd_jax'
# Enough for all that precedes the run's folder; the time stamps are of when they were made.
_EARLIER = 10_000


class _Terminal(logging.Handler):
  """Print records above the live line, so that they do not collide; no word is cut at the margin.

  Attributes:
    hushed: whether records below a warning are left out, unless the terminal is verbose.
  """

  hushed = False

  def emit(self, record: logging.LogRecord) -> None:
    if self.hushed and logging.DEBUG < self.level and record.levelno < logging.WARNING:
      return
    text = printable(self.format(record))
    if columns := _columns():
      text = '\n'.join(
        textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
      )
    with ignore_lost_terminal():
      tqdm.tqdm.write(text, file=sys.stderr)


@contextlib.contextmanager
def ignore_lost_terminal() -> Iterator[None]:
  """Ignore that a terminal is gone to which something is printed, as it is after a SIGHUP."""
  try:
    yield
  except OSError as error:
    if error.errno != errno.EIO:
      raise


def _columns() -> int:
  """Return the width of the terminal; 0 without one."""
  try:
    return os.get_terminal_size(sys.stderr.fileno()).columns
  except (OSError, ValueError):
    return 0


class _Earlier(logging.handlers.MemoryHandler):
  """Keep records until a run's folder is known."""

  def __init__(self):
    super().__init__(_EARLIER, flushLevel=logging.CRITICAL + 1)

  def shouldFlush(self, record: logging.LogRecord) -> bool:
    return False

  def emit(self, record: logging.LogRecord) -> None:
    if len(self.buffer) < self.capacity:
      super().emit(record)


class _File(logging.FileHandler):
  """Append records to a file. A disk that takes no more of them costs records, and not the run."""

  def __init__(self, path: pathlib.Path):
    super().__init__(path, encoding='utf-8', errors='backslashreplace')
    self.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(name)s: %(message)s'))
    self._failed = False

  def format(self, record: logging.LogRecord) -> str:
    return printable(super().format(record))

  def handleError(self, record: logging.LogRecord) -> None:
    if not self._failed:
      self._failed = True
      error = sys.exc_info()[1]
      reason = getattr(error, 'strerror', None) or error
      logger.warning('%s: %s; the run goes on without it', self.baseFilename, reason)

  def emit(self, record: logging.LogRecord) -> None:
    if not self._failed:
      super().emit(record)

  def note(self, text: str, error: BaseException | None = None) -> None:
    """Append a record that the terminal does not get, as the program's last line says the same."""
    told = error and (type(error), error, error.__traceback__)
    self.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, text, (), told))

  def close(self) -> None:
    with contextlib.suppress(OSError):  # It flushes what could not be written.
      super().close()


def to_terminal(quiet: bool = False, verbose: bool = False, keep: bool = False) -> None:
  """Log to standard error in plain lines: this package from INFO on, others from WARNING on.

  Args:
    quiet: whether this package also logs from WARNING on only.
    verbose: whether this package logs from DEBUG on.
    keep: whether records are kept for a run's log file (`to_file`).
  """
  root = logging.getLogger()
  terminal = _Terminal(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
  # They replace absl's handler, which would print records twice and into the live line.
  root.handlers = [terminal, _Earlier()] if keep else [terminal]
  root.setLevel(logging.WARNING)
  # Orbax raises its errors, and also logs them through absl with their tracebacks.
  absl_logging.set_verbosity(absl_logging.FATAL)
  logging.getLogger(_PACKAGE).setLevel(logging.DEBUG)


@contextlib.contextmanager
def hushed(hush: bool = True) -> Iterator[None]:
  """Keep what is no warning off the terminal, unless that is verbose; a log file has it."""
  terminals = [one for one in logging.getLogger().handlers if isinstance(one, _Terminal)]
  before = [one.hushed for one in terminals]
  for one in terminals:
    one.hushed |= hush
  try:
    yield
  finally:
    for one, value in zip(terminals, before, strict=True):
      one.hushed = value


@contextlib.contextmanager
def to_file(folder: pathlib.Path) -> Iterator[None]:
  """Append all records to a run's log.txt, with those from before, and how the run ended.

  A file that cannot be written costs a warning.

  Args:
    folder: of the run.
  """
  root = logging.getLogger()
  try:
    file = _File(folder / FILE)
  except OSError as error:
    logger.warning('%s: %s; the run goes on without it', folder / FILE, error.strerror)
    yield
    return
  kept = [one for one in root.handlers if isinstance(one, _Earlier)]
  for earlier in kept:
    root.removeHandler(earlier)
    earlier.setTarget(file)
    earlier.flush()
    earlier.setTarget(None)  # At its end it would write again.
  root.addHandler(file)
  try:
    yield
  except (UserError, Stopped, KeyboardInterrupt) as end:
    file.note(f'the run ends: {str(end) or type(end).__name__}')
    raise
  except BaseException as error:
    file.note('the run ends', error)
    raise
  finally:
    root.removeHandler(file)
    file.close()
    for earlier in kept:  # Of the next run of a study.
      root.addHandler(earlier)
