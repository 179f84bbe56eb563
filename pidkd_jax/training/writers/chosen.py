"""The chosen writers of a training. None of them can end it."""

import contextlib
import functools
import logging
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pidkd_jax.core.errors import first_line
from pidkd_jax.training.writers import catalog
from pidkd_jax.training.writers.writer import Training, Writer

# Of a library's message, at most.
_CHARACTERS = 300

logger = logging.getLogger(__name__)


class ChosenWriters(contextlib.AbstractContextManager):
  """Several writers as one. A writer that fails is dropped, with one warning.

  As a context manager it closes the writers at the end.
  """

  def __init__(self, names: Iterable[str], training: Training):
    """Open writers.

    Args:
      names: of the writers (`catalog.names`).
      training: whose metrics they get.
    """
    self._writers: dict[str, Writer] = {}
    known = catalog.writers() if names else {}
    for name in names:
      with self._dropping(name):
        self._writers[name] = known[name](training)

  def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of metrics; each has 'step' and 'member'."""
    if rows:
      self._each(lambda writer: writer.write(rows))

  def summarise(self, results: Mapping[str, Mapping[str, float]]) -> None:
    """Write the final results, {member: {metric: value}}."""
    self._each(lambda writer: writer.summarise(results))

  def __exit__(self, kind, error, trace) -> None:
    self._each(functools.partial(_close, complete=error is None))

  def _each(self, call: Callable[[Writer], None]) -> None:
    for name, writer in list(self._writers.items()):
      with self._dropping(name):
        call(writer)

  @contextlib.contextmanager
  def _dropping(self, name: str):
    try:
      yield
    except Exception as error:  # Libraries and servers fail in any way.
      self._writers.pop(name, None)
      logger.warning(
        '%s writes no more: %s; the training goes on, and metrics.jsonl has all rows',
        name,
        first_line(error)[:_CHARACTERS],
      )


def _close(writer: Writer, complete: bool) -> None:
  writer.close(complete)


# Of a training without further writers.
NONE = ChosenWriters((), Training(pathlib.Path(), ''))
