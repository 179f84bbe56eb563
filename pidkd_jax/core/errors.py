"""Errors that the user can mend, with one-line messages that name the value and the remedy."""

import difflib
import traceback
from collections.abc import Iterable, Sequence

# Names in the message on an unknown one; a command lists the others.
_NAMES = 10


class UserError(Exception):
  """A mistake that the user can mend.

  The message is one line with the value and the remedy. Commands print it without a traceback and
  exit with a non-zero status (`pidkd_jax.cli.app`).
  """


def unknown_name(kind: str, name: str, known: Iterable[str], command: str = '') -> UserError:
  """Return the error for an unknown name, with the nearest name and those that exist.

  After ten names the message tells how many others there are.

  Args:
    kind: the kind of thing that has the name, e.g. 'model'.
    name: the name as the user wrote it.
    known: the names that exist.
    command: lists all of them, e.g. 'pidkd networks'; '' where none does.

  Example:
    >>> print(unknown_name('model', 'resnet9', ['vgg8', 'resnet8']))
    unknown model 'resnet9'; did you mean 'resnet8'? there are: resnet8, vgg8
  """
  known = sorted(known)
  nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  hint = f'did you mean {nearest[0]!r}? ' if nearest else ''
  more = f': {command}' if command and len(known) > _NAMES else ''
  return UserError(f'unknown {kind} {name!r}; {hint}there are: {listed(known, _NAMES)}{more}')


def describe_error(error: BaseException, file: str) -> str:
  """Return one line on an error in a file of the user: its type, its message and its line.

  Args:
    error: the exception as it was caught.
    file: the file's path as it stands in tracebacks. The innermost line of this file is named.

  Returns:
    A line such as 'KeyError: 'depth' (networks.py, line 3)'.
  """
  lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
  place = f' ({file}, line {lines[-1]})' if lines else ''
  return ' '.join(f'{type(error).__name__}: {error}{place}'.split())


def first_line(error: BaseException) -> str:
  """Return the first line of an exception's message, or its type's name if it has none.

  Example:
    >>> first_line(ValueError('no archive\\nat offset 7')), first_line(EOFError())
    ('no archive', 'EOFError')
  """
  return str(error).split('\n')[0].strip() or type(error).__name__


def listed(texts: Sequence[object], most: int = 50, separator: str = ', ') -> str:
  """Return texts as one line, at most so many of them, and the number of the others.

  Example:
    >>> listed(['a.png', 'b.png', 'c.png'], most=2)
    'a.png, b.png and 1 more'
  """
  line = separator.join(map(str, texts[:most]))
  return f'{line} and {len(texts) - most:,} more' if len(texts) > most else line


def printable(text: str) -> str:
  """Return a text that changes nothing of a terminal: control characters become escapes.

  Names of classes and files may come from anyone.

  Example:
    >>> printable('ant\\x1b[2Jbee')
    'ant\\\\x1b[2Jbee'
  """
  return ''.join(c if c.isprintable() or c == '\n' else repr(c)[1:-1] for c in text)


class Stopped(Exception):
  """A run that was asked to stop and has saved its state; the same command resumes it.

  Attributes:
    status: the exit status, 128 + the signal's number.
  """

  def __init__(self, message: str, status: int):
    super().__init__(message)
    self.status = status


def at_least_one(**counts: int) -> None:
  """Raise UserError for the first count below 1.

  Example:
    >>> at_least_one(num_projectors=3, width=0)
    Traceback (most recent call last):
    pidkd_jax.core.errors.UserError: width is 0; at least 1 is needed
  """
  for name, count in counts.items():
    if count < 1:
      raise UserError(f'{name} is {count}; at least 1 is needed')
