"""Read whole files that may come from anyone."""

import errno
import hashlib
import json
import os
import pathlib
import stat
from typing import Any

# Descriptions have some kilobytes, logs of long runs some megabytes.
_LIMIT = 2**28


def check(path: pathlib.Path) -> None:
  """Check that a path names a regular file, which no reader waits for.

  Raises:
    OSError: there is none, or it is a pipe, a device, a socket or a folder.
  """
  if not stat.S_ISREG(path.stat().st_mode):
    raise OSError(errno.EINVAL, 'it is no regular file', str(path))


def read_text(path: pathlib.Path, errors: str = 'strict') -> str:
  """Return a file's text.

  Args:
    path: of the file.
    errors: what to do with bytes that are no UTF-8, as `bytes.decode` takes it.

  Raises:
    OSError: it cannot be read, is no regular file, or has more than 256 MiB.
    UnicodeDecodeError: it is not UTF-8.
  """
  # O_NONBLOCK, as a pipe without a writer would wait for one.
  with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 'rb') as file:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
      raise OSError(errno.EINVAL, 'it is no regular file', str(path))
    if status.st_size > _LIMIT:
      raise OSError(errno.EINVAL, f'it has more than {_LIMIT:,} bytes', str(path))
    return file.read().decode('utf-8', errors)


def read_object(path: pathlib.Path) -> dict[str, Any]:
  """Return the JSON object that a file holds.

  Raises:
    OSError: as `read_text`.
    ValueError: it holds no JSON object, or one that is nested too deeply or has half a character
      (a lone surrogate).
  """
  text = read_text(path)
  try:
    value = json.loads(text)
    if r'\ud' in text.lower():
      json.dumps(value, ensure_ascii=False).encode()
  except RecursionError as error:
    raise ValueError('it is nested too deeply') from error
  except UnicodeEncodeError as error:
    raise ValueError('it holds half a character (a lone surrogate)') from error
  if not isinstance(value, dict):
    raise ValueError('it holds no JSON object')
  return value


def sha256(path: pathlib.Path) -> str:
  """Return the SHA-256 of a file of any size, in hexadecimal digits.

  Raises:
    OSError: it cannot be read.
  """
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
