"""What a person sees while a run goes on."""

import logging
import sys

import tqdm
from absl import logging as absl_logging

logger = logging.getLogger(__name__)


class Progress:
  """A live line at a terminal; elsewhere one line an epoch."""

  def __init__(self, title: str, *, epochs: int, images_per_epoch: int, done: int):
    """`done` images of epochs * images_per_epoch were trained on before."""
    self._epochs = epochs
    self._bar = tqdm.tqdm(
        total=epochs * images_per_epoch,
        initial=done,
        desc=title,
        unit=' images',
        unit_scale=True,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        leave=False,
    )
    self._title = title
    self._latest = {}

  def advance(self, images: int) -> None:
    self._bar.update(images)

  def show(self, epoch: int, **figures: str) -> None:
    """Changes the live line: the epoch under way (from 1) and figures by name."""
    self._latest |= figures
    self._bar.set_postfix({'epoch': f'{epoch}/{self._epochs}', **self._latest}, refresh=False)

  def epoch(self, line: str) -> None:
    """Says how an epoch ended, where there is no live line."""
    if self._bar.disable:
      logger.info('%s: %s', self._title, line)

  def close(self) -> None:
    self._bar.close()


class _AboveTheBar(logging.Handler):
  """Prints log records above a live line, so that they do not collide."""

  def emit(self, record: logging.LogRecord) -> None:
    tqdm.tqdm.write(self.format(record), file=sys.stderr)


def log_to_terminal() -> None:
  """Sends our log from INFO on, and others' from WARNING on, to standard error as plain lines."""
  root = logging.getLogger()
  # In place of absl's handler, which would print everything twice and into the live line.
  root.handlers = [_AboveTheBar()]
  root.setLevel(logging.WARNING)
  # Orbax logs by absl, traceback and all, what it also raises.
  absl_logging.set_verbosity(absl_logging.FATAL)
  logging.getLogger('pidkd_jax').setLevel(logging.INFO)
