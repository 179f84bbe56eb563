"""Compiled programs, and what XLA found by tuning them, kept in the user's cache folder."""

import contextlib
import errno
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
# JAX's words for one that it cannot write, and why.
_UNWRITTEN = re.compile(r"Error writing persistent compilation cache entry for '.+?': (.*)", re.S)

_show_other = warnings.showwarning
# Whether it has been said that an entry cannot be written.
_said = False


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
  left in place, also where it can only be read.

  A folder that cannot be made or written costs a warning, and nothing is kept.
  """
  own = os.environ.get('JAX_COMPILATION_CACHE_DIR')
  if own is None:
    jax.config.update('jax_compilation_cache_dir', str(folder()))
    _check(folder(), os.W_OK)
  elif own and '://' not in own:  # An empty name turns the cache off; JAX also knows buckets.
    _check(pathlib.Path(own), os.R_OK)
  if warnings.showwarning is not _show:
    global _show_other, _said
    _show_other, _said = warnings.showwarning, False
    warnings.showwarning = _show


def _check(place: pathlib.Path, access: int) -> None:
  """Make the folder of the cache, or say why there is none, and turn the cache off."""
  try:
    place.mkdir(parents=True, exist_ok=True)
    if not os.access(place, access | os.X_OK):
      raise OSError(errno.EACCES, os.strerror(errno.EACCES))
  except OSError as error:
    jax.config.update('jax_compilation_cache_dir', None)
    logger.warning(
      'compiled programs are not kept, as %s cannot be used (%s); set XDG_CACHE_HOME or '
      'JAX_COMPILATION_CACHE_DIR to a folder that can be written',
      place,
      error.strerror,
    )


def _show(message, category, filename, lineno, file=None, line=None) -> None:
  if found := _UNREADABLE.match(str(message)):
    _remove(found[1])
  elif found := _UNWRITTEN.match(str(message)):
    _say_unwritten(found[1])
  else:
    _show_other(message, category, filename, lineno, file, line)


def _remove(name: str) -> None:
  # JAX has read the entry and compiles next, so its new entry finds the place free.
  place = pathlib.Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore
  with contextlib.suppress(OSError):  # The user's own folder may be one to read only.
    for entry in place.glob(f'{name}-*-cache'):
      entry.unlink(missing_ok=True)
  logger.warning('the kept program %s cannot be read; it is compiled anew', name)


def _say_unwritten(reason: str) -> None:
  """Say once why programs cannot be kept: what one meets, the others meet, too."""
  global _said
  if not _said:
    _said = True
    logger.warning('compiled programs cannot be kept, and the next start is slower: %s', reason)
