"""Compiled programs, and what XLA found by tuning them, kept in the user's cache folder."""

import logging
import os
import pathlib
import re
import warnings
from importlib import metadata

import jax

from pidkd_jax.core import runtime
from pidkd_jax.parallel import determinism

logger = logging.getLogger(__name__)

# JAX's words for an entry that it cannot read. It never replaces such an entry.
_UNREADABLE = re.compile(r"Error reading persistent compilation cache entry for '(.+?)':")

_show_other = warnings.showwarning


def folder() -> pathlib.Path:
  """Return the folder of compiled programs and tuning results.

  JAX's keys of programs hold all versions. XLA's keys of tuning results hold the GPU and cuDNN's
  version only, so each jaxlib has a folder. So have deterministic programs: XLA would take for them
  what it found by tuning others.
  """
  kind = '-deterministic' if determinism.is_required() else ''
  return runtime.cache_folder() / 'xla' / f'jaxlib-{metadata.version("jaxlib")}{kind}'


def keep() -> None:
  """Keep compiled programs and tuning results from here on.

  A program that is kept but damaged is removed, compiled anew and kept again; that is said once.
  XLA treats a damaged tuning result in the same way. The user's own JAX_COMPILATION_CACHE_DIR is
  left in place.
  """
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    jax.config.update('jax_compilation_cache_dir', str(folder()))
  if warnings.showwarning is not _show:
    global _show_other
    _show_other = warnings.showwarning
    warnings.showwarning = _show


def _show(message, category, filename, lineno, file=None, line=None) -> None:
  found = _UNREADABLE.match(str(message))
  if not found:
    _show_other(message, category, filename, lineno, file, line)
    return
  # JAX has read the entry and compiles next, so its new entry finds the place free.
  place = pathlib.Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore
  for entry in place.glob(f'{found[1]}-*-cache'):
    entry.unlink(missing_ok=True)
  logger.warning('the kept program %s cannot be read; it is compiled anew', found[1])
