"""Errors that the user can mend, with one-line messages that name the value and the remedy."""

import contextlib
import difflib
import numbers
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

# Names in the message on an unknown one; a command lists the others.
_NAMES = 10


class UserError(Exception):
  """A mistake that the user can mend.

  The message is one line with the value and the remedy. Commands print it without a traceback and
  exit with a non-zero status (`pidkd_jax.cli.app`). Where both Python and commands call a function,
  its parameters stand in backticks, and a command has them `respelled`.
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


@contextlib.contextmanager
def respelled(names: Mapping[str, str]) -> Iterator[None]:
  """Let messages name flags or fields where a function's message has its parameters in backticks.

  Args:
    names: {a parameter, or a parameter and its value: what stands for it}. Others stay as they are.

  Example:
    >>> with respelled({'limit=0': '--stream', 'archive': '--config.data.archive'}):
    ...   raise UserError('correct `archive=a.zip`, or give `limit=0`')
    Traceback (most recent call last):
    pidkd_jax.core.errors.UserError: correct --config.data.archive=a.zip, or give --stream
  """

  def spelling(found: re.Match[str]) -> str:
    whole, name, value = found[1], found[2], found[3] or ''
    return names.get(whole) or (names[name] + value if name in names else found[0])

  try:
    yield
  except UserError as error:
    raise UserError(re.sub(r'`((\w+)(=[^`]*)?)`', spelling, str(error))) from error


class Stopped(Exception):
  """A run that was asked to stop and has saved its state; the same command resumes it.

  Attributes:
    status: the exit status, 128 + the signal's number.
  """

  def __init__(self, message: str, status: int):
    super().__init__(message)
    self.status = status

  def __reduce__(self):
    return type(self), (str(self), self.status), self.__dict__


def whole_number(name: str, value: Any, least: int) -> None:
  """Raise UserError unless a value is a whole number of at least so much.

  Example:
    >>> whole_number('padding', 2.5, least=0)
    Traceback (most recent call last):
    pidkd_jax.core.errors.UserError: padding is 2.5; a whole number from 0 up is needed
  """
  if not isinstance(value, numbers.Integral) or value < least:
    raise UserError(f'{name} is {value!r}; a whole number from {least} up is needed')


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
