"""The host: its memory, its cores and the user's cache folder.

This module imports only the standard library, so that it can run before JAX is imported.
"""

import atexit
import ctypes
import functools
import gc
import os
import pathlib
import tempfile

# From glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def tune_allocator() -> None:
  """Keep freed memory in one heap, because XLA allocates and frees CPU buffers at every step.

  glibc's defaults map and unmap each large buffer. On two cores, steps are 16 to 20% faster without
  that. Without glibc the function does nothing. Call it before JAX is imported.
  """
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except (AttributeError, OSError, TypeError):
    return
  mallopt(_M_MMAP_MAX, 0)
  mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
  mallopt(_M_TOP_PAD, 64 * 2**20)
  mallopt(_M_ARENA_MAX, 1)


def tune_garbage_collector() -> None:
  """Look for garbage less often, because tracing makes many objects and hardly any cycles.

  By Python's defaults the search takes a tenth of the time in which a program is traced.
  """
  gc.set_threshold(200_000, 50, 1000)


def cache_folder() -> pathlib.Path:
  """Return the folder of this package's caches, in XDG_CACHE_HOME or ~/.cache.

  A user without a home has caches that last as long as the process. Nobody else can write there.
  """
  try:
    root = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  except RuntimeError:  # Neither HOME nor an entry in passwd.
    root = _temporary_folder()
  return pathlib.Path(root) / 'pidkd_jax'


@functools.cache
def _temporary_folder() -> str:
  folder = tempfile.TemporaryDirectory(prefix='pidkd_jax-')
  atexit.register(folder.cleanup)
  return folder.name


def cores() -> int:
  """Return the number of cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
