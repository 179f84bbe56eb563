"""The memory that the host has to give."""

import os
import pathlib


def free(root: pathlib.Path = pathlib.Path('/')) -> int:
  """Return the bytes that the host can give without swapping, within a container's limit."""
  try:
    lines = (root / 'proc' / 'meminfo').read_text().splitlines()
    [kib] = (line.split()[1] for line in lines if line.startswith('MemAvailable:'))
    available = 1024 * int(kib)
  except (OSError, ValueError):
    # Not Linux: the installed memory can be asked for in a portable way, the free memory cannot.
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  try:
    group = root / 'sys' / 'fs' / 'cgroup'
    limit, used = (int((group / name).read_text()) for name in ('memory.max', 'memory.current'))
  except (OSError, ValueError):  # No container, or one without a limit.
    return available
  return min(available, limit - used + _file_cache(group))


def _file_cache(group: pathlib.Path) -> int:
  """Return the bytes of files that a container keeps in memory, and gives up when asked for more.

  Args:
    group: the folder of the container's control group.
  """
  try:
    values = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines())
    return int(values['active_file']) + int(values['inactive_file'])
  except (OSError, ValueError, KeyError):  # Not told.
    return 0
