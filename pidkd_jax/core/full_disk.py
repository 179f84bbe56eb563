"""Full disks: no space, a used-up quota, or a limit on the size of files."""

import errno
import os
import pathlib
import re
import tempfile

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_cause(error: BaseException) -> bool:
  """Return whether an error says that a disk is full; libraries often keep only the system's text.

  Example:
    >>> is_cause(OSError(errno.EDQUOT, 'Disk quota exceeded'))
    True
    >>> is_cause(ValueError('writing "a": No space left on device'))
    True
    >>> is_cause(OSError(errno.EIO, 'Input/output error'))
    False
  """
  texts = '|'.join(re.escape(os.strerror(number)) for number in _NUMBERS)
  return getattr(error, 'errno', None) in _NUMBERS or bool(re.search(texts, str(error)))


def reserve(folder: pathlib.Path, size: int) -> None:
  """Check that a file of this size can be written into a folder, and leave nothing there.

  The file system takes the blocks, so quotas and limits count, too. Where it cannot do so without
  writing them, a byte is written into each.

  Raises:
    OSError: there is no room for it.
  """
  with tempfile.TemporaryFile(dir=folder) as file:
    try:
      os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # macOS has none.
      return
    except OSError as error:
      if is_cause(error):
        raise
