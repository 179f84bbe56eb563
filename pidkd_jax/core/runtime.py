"""How a process of ours uses its machine; imports the standard library only, to come first."""

import ctypes
import os
import pathlib

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def tune_allocator() -> None:
  """Keeps freed memory in one heap: XLA's CPU buffers come and go at every step.

  16 to 20% faster steps on two cores than with glibc's defaults, which map and unmap each
  large buffer. Elsewhere than on glibc it does nothing. Call it before JAX is imported.
  """
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except (AttributeError, OSError, TypeError):
    return
  mallopt(_M_MMAP_MAX, 0)
  mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
  mallopt(_M_TOP_PAD, 64 * 2**20)
  mallopt(_M_ARENA_MAX, 1)


def cache_folder() -> pathlib.Path:
  """Where this user's caches of ours lie; XDG_CACHE_HOME moves it."""
  root = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(root) / 'pidkd_jax'


def cores() -> int:
  """Cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
