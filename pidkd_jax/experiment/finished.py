"""The answer to a start that has nothing to do: the summary that a finished run keeps.

This module imports little, because such a start should answer at once.
"""

import contextlib
import json
import logging
import operator
import os
import pathlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from pidkd_jax.core import regular_file
from pidkd_jax.core.screen import Summary
from pidkd_jax.core.value import as_json
from pidkd_jax.parallel import processes
from pidkd_jax.training import log

logger = logging.getLogger(__name__)

_SUMMARY = 'summary.json'
# Files that a start may write before it knows that it has nothing to do.
_PASSED_OVER = ('lock', log.FILE, _SUMMARY)

# The fields that name bundles. A run knows what lies there by its digest (inputs.json).
BUNDLES = ('teacher.bundle', 'teacher.start', 'start')


def has_bundle(config: ConfigDict) -> bool:
  """Return whether something lies where a field of `BUNDLES` says."""
  return any(map(_exists, operator.attrgetter(*BUNDLES)(config)))


def keep(folder: pathlib.Path, summary: Summary) -> None:
  """Keep the summary of a finished run in its folder, after all its other files are written."""
  with contextlib.suppress(OSError):  # Nothing depends on it.
    # Not by renaming, which would change the folder after the file.
    (folder / _SUMMARY).write_text(json.dumps(summary.to_json(), indent=2) + '\n')


def summary(config: ConfigDict, folder: str) -> Summary | None:
  """Return the summary that a finished run kept, if it still holds.

  It holds for the same configuration, field by field, as long as nothing in the run's folder and
  in the archive of its data has changed since. Prepared data are not read. A teacher or start that
  lies where the configuration says has to be loaded, as only its digest tells what it is.

  Args:
    config: of `job.main`.
    folder: of the run.

  Returns:
    None where the run is not finished, or has to be looked at by `job.main`.
  """
  if processes.is_initialized():
    return None
  home = pathlib.Path(os.path.expanduser(folder))
  try:
    saved = regular_file.read_object(home / 'config.json')
    kept = Summary.from_json(regular_file.read_object(home / _SUMMARY), str(home))
    written = (home / _SUMMARY).stat().st_mtime_ns
    if saved != as_json(config.to_dict()):
      return None
    if has_bundle(config):
      return None
    groups = [config.data, *([config.probe] if 'probe' in config else [])]
    named = [config.data.unlabelled, *(group.archive for group in groups)]
    archives = [pathlib.Path(os.path.expanduser(path)) for path in named if _exists(path)]
    # A table names images beside it, and a shard's classes may stand in a file beside it.
    if any(
      group.name == 'image_folder' and place.is_file() for group in groups for place in archives
    ):
      return None
    if any(_changed(path) > written for place in (home, *archives) for path in _all_in(place)):
      return None
  except (OSError, ValueError, TypeError, KeyError, AttributeError):
    return None
  logger.info('%s is complete, and unchanged since its report; nothing is trained', home)
  return kept


def _exists(path: str) -> bool:
  return os.path.exists(os.path.expanduser(path))


def _changed(path: pathlib.Path) -> int:
  """Return when a file or folder last changed, in nanoseconds; a renamed one has changed."""
  # A link may lead elsewhere since.
  return max(max(one.st_mtime_ns, one.st_ctime_ns) for one in (path.stat(), path.lstat()))


def _all_in(place: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield a file, or a folder and everything in it; a removed entry has changed its folder.

  Raises:
    ValueError: a folder in it is a link, which is not followed.
  """
  yield place
  for folder, children, files in os.walk(place):
    for name in (*children, *files):
      if name not in _PASSED_OVER:
        yield pathlib.Path(folder, name)
    if any(os.path.islink(os.path.join(folder, child)) for child in children):
      raise ValueError(f'{folder} holds a link to a folder')
