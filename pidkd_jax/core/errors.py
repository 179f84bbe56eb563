"""The one exception that means: the user can mend this."""

import difflib
import traceback
from collections.abc import Iterable


class UserError(Exception):
  """A mistake that the user can mend; its message is one line with the value and the remedy.

  Scripts print the message without a traceback and exit with a non-zero status
  (`pidkd_jax.cli.app`).
  """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
  """The error for a misspelt name: says what is nearest and what there is.

  Args:
    kind: what was named, e.g. 'model'.
    name: what the user wrote.
    known: the names that exist.
  """
  known = sorted(known)
  nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  hint = f'did you mean {nearest[0]!r}? ' if nearest else ''
  return UserError(f'unknown {kind} {name!r}; {hint}there are: {", ".join(known)}')


def describe_error(error: BaseException, file: str) -> str:
  """What happened in a file that the user wrote, in one line: the kind, the words, the place.

  Args:
    error: as it was caught.
    file: its path as Python knows it; the line is the last one of it that the error passed.
  """
  lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
  place = f' ({file}, line {lines[-1]})' if lines else ''
  return ' '.join(f'{type(error).__name__}: {error}{place}'.split())


class Stopped(Exception):
  """A run that was asked to stop and has saved its state; the same command goes on.

  Attributes:
    status: the exit status, 128 + the signal's number.
  """

  def __init__(self, message: str, status: int):
    super().__init__(message)
    self.status = status


def at_least_one(**counts: int) -> None:
  """Raises UserError for a count below 1, by its name."""
  for name, count in counts.items():
    if count < 1:
      raise UserError(f'{name} is {count}; at least 1 is needed')
