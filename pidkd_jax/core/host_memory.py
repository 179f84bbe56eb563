"""The memory that the host has to give."""

import os
import pathlib
import sys
from collections.abc import Iterator
from typing import NamedTuple


class _Files(NamedTuple):
  """Where a version of Linux's control groups tells of memory.

  Attributes:
    mount: the folder of the root group.
    limit: file with the most bytes that a group may take.
    used: file with the bytes that it takes.
    prefix: of the entries of memory.stat that count the groups within it, too.
  """

  mount: str
  limit: str
  used: str
  prefix: str


# {controller in /proc/self/cgroup: the files}; version 2 has one group for all controllers.
_VERSIONS = {
  '': _Files('sys/fs/cgroup', 'memory.max', 'memory.current', ''),
  'memory': _Files(
    'sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_'
  ),
}


def installed() -> int:
  """Return the bytes of memory that the machine has."""
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def free(root: pathlib.Path = pathlib.Path('/')) -> int:
  """Return the bytes that the host can give without swapping.

  On Linux they are within the limits of the container and of the batch job.
  """
  try:
    lines = (root / 'proc' / 'meminfo').read_text().splitlines()
    [kib] = (line.split()[1] for line in lines if line.startswith('MemAvailable:'))
    available = 1024 * int(kib)
  except (OSError, ValueError):
    return installed()  # Not Linux: the free memory cannot be asked for in a portable way.
  return min([available, *(_free(*group) for group in _groups(root))])


def _groups(root: pathlib.Path) -> Iterator[tuple[pathlib.Path, _Files]]:
  """Yield the folders of the control groups that hold this process, where they are seen."""
  try:
    lines = (root / 'proc' / 'self' / 'cgroup').read_text().splitlines()
  except OSError:
    lines = []
  of_process = {}
  for line in lines:
    _, controllers, path = line.split(':', 2)
    of_process |= dict.fromkeys(controllers.split(','), path)
  for controller, files in _VERSIONS.items():
    path = pathlib.PurePosixPath(of_process.get(controller, '/').lstrip('/'))
    # A limit may be that of any group around it.
    for group in (path, *path.parents):
      folder = root / files.mount / group
      if (folder / files.limit).exists():
        yield folder, files


def _free(folder: pathlib.Path, files: _Files) -> int:
  """Return the bytes that a control group has left, or `sys.maxsize` where it has no limit."""
  try:
    limit, used = (int((folder / name).read_text()) for name in (files.limit, files.used))
  except (OSError, ValueError):
    return sys.maxsize
  return limit - used + _file_cache(folder, files)


def _file_cache(folder: pathlib.Path, files: _Files) -> int:
  """Return the bytes of files that a group keeps in memory, and gives up when asked for more."""
  try:
    values = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
    return sum(int(values[f'{files.prefix}{kind}']) for kind in ('active_file', 'inactive_file'))
  except (OSError, ValueError, KeyError):  # Not told.
    return 0
