"""What a person sees while a run goes on."""

import logging
import sys
import time
import warnings

import tqdm
from absl import logging as absl_logging

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
    """`done` images of epochs * images_per_epoch were trained on before."""
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
    """Says in the live line which epoch, from 1, is under way and how its loss stands."""
    self._bar.set_postfix_str(
      f'epoch {epoch}/{self._epochs}, loss {loss:.4f}{self._latest}', refresh=False
    )

  def epoch(
    self, epoch: int, figures: str, seconds: float, images: int, evaluated: bool = True
  ) -> None:
    """Show how an epoch ended: in the live line, or as a line of its own where there is none.

    Args:
      epoch: from 1.
      figures: its loss and accuracy.
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
  """Prints log records above a live line, so that they do not collide."""

  def emit(self, record: logging.LogRecord) -> None:
    tqdm.tqdm.write(self.format(record), file=sys.stderr)


def log_to_terminal(quiet: bool = False) -> None:
  """Sends our log from INFO on, and others' from WARNING on, to standard error as plain lines.

  Args:
    quiet: whether ours is sent from WARNING on, too.
  """
  root = logging.getLogger()
  # In place of absl's handler, which would print everything twice and into the live line.
  root.handlers = [_AboveTheBar()]
  root.setLevel(logging.WARNING)
  # Orbax logs by absl, traceback and all, what it also raises.
  absl_logging.set_verbosity(absl_logging.FATAL)
  logging.getLogger('pidkd_jax').setLevel(logging.WARNING if quiet else logging.INFO)
