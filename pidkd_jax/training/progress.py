"""The progress of a training: at a terminal, in a notebook or in a log."""

import contextlib
import dataclasses
import logging
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tqdm

from pidkd_jax.core.errors import listed
from pidkd_jax.core.watched import is_notebook, is_watched

with warnings.catch_warnings():
  # Without ipywidgets a notebook gets a bar of text, which serves as well.
  warnings.simplefilter('ignore', tqdm.TqdmWarning)
  from tqdm import auto

logger = logging.getLogger(__name__)

# Epochs without an evaluation have a line at most this often, as an epoch may be a single step.
_LINE_SECONDS = 10.0
# Work that took less is not worth a line.
_TOLD_SECONDS = 1.0
# Of a line for an epoch: labels that it names at least, and columns where there is no terminal.
_LEAST_LABELS = 3
_COLUMNS = 100
# Columns that the bar itself and the figures behind it take.
_BAR_COLUMNS = 40


@dataclasses.dataclass(frozen=True)
class Figure:
  """An epoch's figures of one label, each the mean over its trials.

  Attributes:
    label: of the members.
    loss: on the training images.
    top1: on the images of the evaluation; None in an epoch without one.
  """

  label: str
  loss: float
  top1: float | None = None


def figures(rows: Sequence[Mapping[str, Any]], accuracy: str) -> list[Figure]:
  """Return the figures of an epoch's rows of metrics, in the order of labels.

  Args:
    rows: of all members.
    accuracy: its name in them; where they lack it, there was no evaluation.
  """
  found = []
  for label in dict.fromkeys(row['label'] for row in rows):
    own = [row for row in rows if row['label'] == label]
    top1 = statistics.mean(row[accuracy] for row in own) if accuracy in own[0] else None
    found.append(Figure(label, statistics.mean(row['train_loss'] for row in own), top1))
  return found


class Progress:
  """A live line at a terminal or in a notebook, and a line for each epoch.

  An epoch has a line if it is evaluated or long. The live line's rate and time left are those of
  training alone.
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
    self._title = title
    self._latest = ''
    self._epoch = 1 + done // max(1, images_per_epoch)
    self._written_at = time.monotonic()
    self._bar = auto.tqdm(
      total=epochs * images_per_epoch,
      initial=done,
      desc=f'{title}: epoch {self._epoch}/{epochs}',
      unit=' images',
      unit_scale=True,
      disable=not is_watched(),
      dynamic_ncols=True,
      leave=False,
      bar_format='{desc} |{bar}| {rate_noinv_fmt}, {remaining} left',
    )

  def advance(self, images: int) -> None:
    self._bar.update(images)

  def skip(self, images: int) -> None:
    """Advance by images that do not count in the rate, as their step was compiled as well."""
    if not self._bar.disable:
      self._bar.initial += images
      self._bar.last_print_n += images
      self._bar.n += images

  @contextlib.contextmanager
  def pause(self, doing: str = '') -> Iterator[None]:
    """Show what is done beside training; its time counts neither in the rate nor in what is left.

    Args:
      doing: what is done, as text; '' to leave the line as it is.
    """
    if doing:
      self._say(f', {doing}', refresh=True)
    began = time.monotonic()
    try:
      yield
    finally:
      if not self._bar.disable:
        seconds = time.monotonic() - began
        self._bar.start_t += seconds
        self._bar.last_print_t += seconds

  def loss(self, epoch: int, loss: float, member: str = '') -> None:
    """Show in the live line the current epoch, counted from 1, and its mean loss so far.

    Args:
      epoch: counted from 1.
      loss: of one member, as losses of different methods have no common scale.
      member: its name, which is shown where there is room; '' if it is the only one.
    """
    self._epoch = epoch
    self._say(f', loss {loss:.4f}', f' ({member})' if member else '')

  def epoch(
    self, epoch: int, figures: Sequence[Figure], accuracy: str, seconds: float, images: int
  ) -> None:
    """Show how an epoch ended, in a line of its own.

    Args:
      epoch: counted from 1.
      figures: of each label, in the order of members.
      accuracy: the name of their accuracy, e.g. 'test top-1'.
      seconds: that the epoch's training took.
      images: that it trained on.
    """
    evaluated = any(figure.top1 is not None for figure in figures)
    columns = self._columns()
    start = f'{self._title}: epoch {epoch}/{self._epochs}: '
    told = describe(figures, accuracy, columns - len(start))
    if evaluated and is_notebook():
      self._latest = f' (before: {told})'  # Nobody may have asked for the log there.
    self._epoch = min(epoch + 1, self._epochs)
    label = f' ({figures[0].label})' if len(figures) > 1 else ''
    self._say(f', loss {figures[0].loss:.4f}', label)
    now = time.monotonic()
    if not evaluated and now - self._written_at <= _LINE_SECONDS:
      return
    self._written_at = now
    pace = ''
    if self._bar.disable:
      left = tqdm.tqdm.format_interval((self._epochs - epoch) * seconds)
      pace = f'; {images / max(seconds, 1e-9):,.0f} images/s, {left} left'
    logger.info('%s%s%s', start, told, pace)

  def close(self) -> None:
    self._bar.close()

  def _columns(self) -> int:
    return (not self._bar.disable and self._bar.format_dict['ncols']) or _COLUMNS

  def _say(self, text: str, more: str = '', refresh: bool = False) -> None:
    """Set the text before the bar; `more` stands there only if the bar keeps its columns."""
    if self._bar.disable:
      return
    text = f'{self._title}: epoch {self._epoch}/{self._epochs}{text}'
    if len(text) + len(more) <= self._columns() - _BAR_COLUMNS:
      text += more
    self._bar.set_description_str(text + self._latest, refresh=refresh)


def describe(figures: Sequence[Figure], accuracy: str, columns: int) -> str:
  """Return an epoch's figures as text: three labels, or more where they fit, and 'and N more'.

  Args:
    figures: of each label.
    accuracy: the name of their accuracy.
    columns: that the text should take at most. One label has both figures. Several have their
      losses behind the accuracies only where all of that fits.

  Example:
    >>> figures = [Figure(label, 0.25, 0.9) for label in ('pidkd', 'kd', 'sp', 'crd')]
    >>> describe(figures[:1], 'test top-1', 80)
    'loss 0.2500, test top-1 90.00%'
    >>> describe(figures, 'test top-1', 30)
    'test top-1 pidkd 90.00%, kd 90.00%, sp 90.00% and 1 more'
  """
  accuracies = [(f.label, f'{100 * f.top1:.2f}%') for f in figures if f.top1 is not None]
  if len(figures) == 1:
    parts = [f'loss {figures[0].loss:.4f}']
    return ', '.join(parts + [f'{accuracy} {top1}' for _, top1 in accuracies])
  losses = [f'{figure.loss:.4f}' for figure in figures]
  if not accuracies:
    return 'loss ' + _fitting([f'{f.label} {f.loss:.4f}' for f in figures], columns - len('loss '))
  shown = list(map(' '.join, accuracies))
  both = f'{accuracy} {", ".join(shown)}; loss {", ".join(losses)}'
  if len(both) <= columns:
    return both
  return f'{accuracy} {_fitting(shown, columns - len(accuracy) - 1)}'


def _fitting(texts: Sequence[str], columns: int) -> str:
  """Return as many texts as fit, but at least some, and the number of the others."""
  most = len(texts)
  while most > _LEAST_LABELS and len(listed(texts, most)) > columns:
    most -= 1
  return listed(texts, most)


@contextlib.contextmanager
def working(doing: str, *, total: int = 0, told: bool = False) -> Iterator[Callable[[], object]]:
  """Show work that takes seconds, with the time that it takes.

  At a terminal and in a notebook that is a live line. The log file has a line before and after.

  Args:
    doing: what is done, e.g. 'reading digits'.
    total: the number of its parts, or 0.
    told: whether the user sees the lines of the log as well: the first where there is no live line,
      the second where the work took long.

  Yields:
    A function to be called after each part.
  """
  live = auto.tqdm(
    total=total,
    desc=doing,
    disable=not is_watched(),
    leave=False,
    bar_format='{desc} ...' + (' {n_fmt} of {total_fmt},' if total else '') + ' {elapsed}',
  )
  logger.log(logging.INFO if told and live.disable else logging.DEBUG, '%s ...', doing)
  began = time.monotonic()
  done = threading.Event()

  def tick() -> None:
    while not done.wait(1.0):
      live.refresh()

  ticking = threading.Thread(target=tick, daemon=True)
  if not live.disable:
    ticking.start()
  try:
    yield live.update
  finally:
    done.set()
    if not live.disable:
      ticking.join()
    live.close()
  seconds = time.monotonic() - began
  long = seconds >= _TOLD_SECONDS
  logger.log(logging.INFO if told and long else logging.DEBUG, '%s took %.1f s', doing, seconds)
