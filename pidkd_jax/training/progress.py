"""The progress of a training: at a terminal, in a notebook or in a log."""

import logging
import sys
import time
import warnings

import tqdm
from absl import logging as absl_logging

from pidkd_jax.core.errors import printable

with warnings.catch_warnings():
  # Without ipywidgets a notebook gets a bar of text, which serves as well.
  warnings.simplefilter('ignore', tqdm.TqdmWarning)
  from tqdm import auto

logger = logging.getLogger(__name__)

# Epochs without an evaluation have a line at most this often, as an epoch may be a single step.
_LINE_SECONDS = 10.0


class Progress:
  """A live line at a terminal or in a notebook.

  Elsewhere it is a line for each epoch that is evaluated or long.
  """

  def __init__(self, title: str, *, epochs: int, images_per_epoch: int, done: int):
    """Begin to show a training.

    Args:
      title: text before the progress.
      epochs: length of the training.
      images_per_epoch: images of the training split that an epoch takes.
      done: images that the training took before it was resumed.
    """
    self._epochs = epochs
    self._bar = auto.tqdm(
      total=epochs * images_per_epoch,
      initial=done,
      desc=title,
      unit=' images',
      unit_scale=True,
      disable=not _is_watched(),
      dynamic_ncols=True,
      leave=False,
    )
    self._title = title
    self._latest = ''
    self._written_at = time.monotonic()

  def advance(self, images: int) -> None:
    self._bar.update(images)

  def loss(self, epoch: int, loss: float) -> None:
    """Show in the live line the current epoch, counted from 1, and its mean loss so far."""
    self._bar.set_postfix_str(
      f'epoch {epoch}/{self._epochs}, loss {loss:.4f}{self._latest}', refresh=False
    )

  def epoch(
    self, epoch: int, figures: str, seconds: float, images: int, evaluated: bool = True
  ) -> None:
    """Show how an epoch ended: in the live line, or as a line of its own where there is none.

    Args:
      epoch: counted from 1.
      figures: its loss and accuracy, as text.
      seconds: that it took.
      images: that it trained on.
      evaluated: whether the figures include the accuracy.
    """
    if evaluated:
      self._latest = f' (before: {figures})'
    self._bar.set_postfix_str(f'epoch {epoch}/{self._epochs}{self._latest}', refresh=False)
    now = time.monotonic()
    if self._bar.disable and (evaluated or now - self._written_at > _LINE_SECONDS):
      self._written_at = now
      logger.info(
        '%s: epoch %d/%d: %s; %.0f images/s, %.0f s left',
        self._title,
        epoch,
        self._epochs,
        figures,
        images / seconds,
        (self._epochs - epoch) * seconds,
      )

  def close(self) -> None:
    self._bar.close()


def _is_watched() -> bool:
  """Return whether somebody sees a live line: at a terminal, or in a notebook."""
  ipython = sys.modules.get('IPython')
  shell = ipython and ipython.get_ipython()
  return sys.stderr.isatty() or 'IPKernelApp' in getattr(shell, 'config', ())


class _AboveTheBar(logging.Handler):
  """Print log records above the live line, so that they do not collide."""

  def emit(self, record: logging.LogRecord) -> None:
    tqdm.tqdm.write(printable(self.format(record)), file=sys.stderr)


def log_to_terminal(quiet: bool = False) -> None:
  """Log to standard error in plain lines: this package from INFO on, others from WARNING on.

  Args:
    quiet: whether this package also logs from WARNING on only.
  """
  root = logging.getLogger()
  # It replaces absl's handler, which would print records twice and into the live line.
  root.handlers = [_AboveTheBar()]
  root.setLevel(logging.WARNING)
  # Orbax raises its errors, and also logs them through absl with their tracebacks.
  absl_logging.set_verbosity(absl_logging.FATAL)
  logging.getLogger('pidkd_jax').setLevel(logging.WARNING if quiet else logging.INFO)
