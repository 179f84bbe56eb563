"""Checkpoints of a whole cohort: Orbax writes them in the background, their digest is checked."""

import contextlib
import errno
import glob
import logging
import pathlib
import re
import shutil
import textwrap
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint.checkpoint_managers import preservation_policy

from pidkd_jax.core import full_disk, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes
from pidkd_jax.training import packing

logger = logging.getLogger(__name__)

KEPT = 2

# {a field of `State`: its name in checkpoints of version 0.1.0}.
_EARLIER_NAMES = {'.opt_state': '.momentum', '.loss_sums': '.sums'}

# A file system over a network may fail for a moment.
_RETRY_SECONDS = (0.5, 2.0)

# What these say of a checkpoint's file is seen by reading its folder: the checkpoint is damaged.
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)

# TensorStore's text of other errors of the system, such as '[OS error 5: EIO Input/output error]'.
_SYSTEM_ERROR = re.compile(r'\[OS error \d+: (?!ENOENT|ENOTDIR|EISDIR)(.+?)\]')

# Orbax numbers all saves of a process by one variable. Two saves at once would wait for each
# other's signals, or lose each other's folders.
_SAVING = threading.Lock()
# Those of all threads that are at work.
_OPEN: set['Checkpoints'] = set()
_POLL_SECONDS = 0.02


def check_path(folder: pathlib.Path) -> None:
  """Raise UserError for a folder in which no checkpoint can be kept.

  TensorStore takes a backslash for a slash, so it would write into another folder. It takes no
  name that is not UTF-8.
  """
  path = str(folder.resolve())
  try:
    path.encode()
  except UnicodeEncodeError:
    raise UserError(f'the path {path!a} is not UTF-8; give another folder') from None
  if '\\' in path:
    raise UserError(
      f'the path {path} has a backslash, in which no checkpoint can be kept; give another folder'
    )


def _read_error(error: BaseException | None) -> str | None:
  """Return how the machine failed to read, if that is why an error was raised."""
  while error is not None:
    if isinstance(error, MemoryError):
      return 'out of memory'
    if isinstance(error, OSError) and error.errno not in _MISSING:
      return error.strerror or str(error)
    if told := _SYSTEM_ERROR.search(str(error)):
      return told[1]
    error = error.__cause__ or error.__context__
  return None


def _unreadable(folder: pathlib.Path) -> str | None:
  """Return why a file below a folder cannot be read, or None if all can."""
  try:
    for path in folder.rglob('*'):
      if path.is_file():
        regular_file.sha256(path)
  except (OSError, MemoryError) as error:
    return _read_error(error)
  return None


class _LiteralPath(type(epath.Path())):
  """A path whose own characters are no pattern.

  epath joins a folder's path and a pattern, and searches for both. In a folder `run[1]` it finds
  nothing, and Orbax then commits checkpoints without arrays. In a folder `a*` it finds the files of
  the folder `ab` too.
  """

  def glob(self, pattern: str) -> Iterator['_LiteralPath']:
    for found in glob.iglob(pattern, root_dir=self):
      yield self / found


class Checkpoints:
  """The checkpoints in one folder, named by step; the latest two are kept.

  Orbax restores flipped bytes without an error. So each checkpoint carries a SHA-256 of the saved
  state, and a checkpoint that no longer matches it is not restored.

  A state is saved as one array for each type. TensorStore 0.1.86 leaks memory for each array of a
  save: 240 saves of 300 arrays grew a process by 160 to 200 KiB each, and by 11 KiB as one array.
  """

  def __init__(self, folder: pathlib.Path):
    """Open the checkpoints in a folder, which is made if it is missing.

    Raises:
      UserError: no checkpoint can be kept in a folder of this name.
    """
    check_path(folder)
    self._folder = folder.resolve()  # With a relative path Orbax's thread fails without an error.
    self._manager = ocp.CheckpointManager(
      _LiteralPath(self._folder),
      options=ocp.CheckpointManagerOptions(
        preservation_policy=preservation_policy.LatestN(KEPT),
        enable_async_checkpointing=True,
        # What a kill left of a save. The run's lock keeps other writers out.
        cleanup_tmp_directories=True,
      ),
    )
    _OPEN.add(self)

  def save(self, step: int, state: Any, notes: dict[str, Any]) -> None:
    """Save a state, in the background unless another thread has checkpoints open.

    Then the save waits for its turn, and until it is on disk.

    Args:
      step: steps done. An existing checkpoint of this step is left as it is.
      state: a tree of arrays.
      notes: JSON values that go with it.

    Raises:
      UserError: the disk is full, at this save or at the one before.
    """
    host = jax.device_get(state)  # All copies begin before the first is waited for.
    self._check_space(sum(leaf.nbytes for leaf in jax.tree.leaves(host)))
    notes = notes | {'sha256': packing.digest(host)}
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(packing.pack(host)), notes=ocp.args.JsonSave(notes)
    )
    with self._full_disk_in_one_line(), _SAVING:
      # A save in the background may have begun before the others were opened.
      while any(other.is_saving for other in tuple(_OPEN) if other is not self):
        time.sleep(_POLL_SECONDS)
      self._manager.save(step, args=args)
      if len(_OPEN) > 1:
        self._manager.wait_until_finished()

  @property
  def is_saving(self) -> bool:
    """Whether a save has begun and is not on disk."""
    return self._manager.is_saving_in_progress()

  def restore(self, like: Any) -> tuple[int, Any, dict[str, Any]] | None:
    """Return the newest intact checkpoint as (step, state, notes), or None if there is none at all.

    Damaged checkpoints that are newer are removed, as their steps will be saved again. One is
    damaged only where all of its files were read, and do not hold what was saved.

    Args:
      like: a tree of arrays or shapes, with the structure that was saved.

    Raises:
      UserError: there are checkpoints, and none is intact; or the newest cannot be read; or several
        processes see different checkpoints.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    if not processes.agree(zlib.crc32(repr(steps).encode()) >> 1):
      raise self._different(f'this one has {", ".join(map(str, steps)) or "none"}')
    damaged = []
    for step in steps:
      found = None
      try:
        found = self._read_patiently(step, like)
      except UserError:
        raise
      except Exception as error:  # Orbax raises a bare Exception for truncated payloads.
        reason = textwrap.shorten(str(error), 200) or type(error).__name__
        logger.warning('checkpoint %d in %s is damaged: %s', step, self._folder, reason)
        damaged.append(step)
      if processes.any_process(found is None, found is not None) == [True, True]:
        raise self._different(f'some find checkpoint {step} damaged, and others do not')
      if found is not None:
        if damaged:
          self._remove(damaged)
        return step, *found
    if steps:
      raise UserError(
        f'none of the checkpoints in {str(self._folder)!r} is intact '
        f'(steps {", ".join(map(str, steps))}); remove that folder to start over'
      )
    return None

  def _read_patiently(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint; try again where a file of it cannot be read.

    Raises:
      UserError: it still cannot be read.
      Exception: it can be read, and is damaged.
    """
    for seconds in (*_RETRY_SECONDS, None):
      try:
        return self._read(step, like)
      except Exception as error:
        reason = _read_error(error) or _unreadable(self._folder / str(step))
        if reason is None:
          raise
        if seconds is None:
          raise UserError(
            f'checkpoint {step} in {str(self._folder)!r} cannot be read ({reason}); it stays as it '
            'is: mend that, and the same command goes on from there'
          ) from error
        logger.warning('checkpoint %d cannot be read (%s); it is tried again', step, reason)
        time.sleep(seconds)
    raise AssertionError

  def _read(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(packing.packed_shapes(like)),
        notes=ocp.args.JsonRestore(),
      ),
    )
    state = packing.unpack(restored['state'], like)
    digests = (packing.digest(state), packing.digest(state, _EARLIER_NAMES))
    if restored['notes']['sha256'] not in digests:
      raise ValueError('its bytes are not those that were saved')
    return state, restored['notes']

  def _different(self, what: str) -> UserError:
    return UserError(
      f'the processes see different checkpoints in {str(self._folder)!r}: {what}; give all of them '
      'one workdir, in a file system that they share'
    )

  def _remove(self, steps: list[int]) -> None:
    processes.barrier('damaged checkpoints')
    for step in steps if processes.is_primary() else ():
      shutil.rmtree(self._folder / str(step))
    processes.barrier('removed checkpoints')
    self._manager.reload()

  def wait(self) -> None:
    """Wait until all saves are on disk.

    Raises:
      UserError: the disk is full.
    """
    with self._full_disk_in_one_line():
      self._manager.wait_until_finished()

  def close(self) -> None:
    try:
      with self._full_disk_in_one_line():
        self._manager.close()
    finally:
      _OPEN.discard(self)

  @contextlib.contextmanager
  def _full_disk_in_one_line(self) -> Iterator[None]:
    """Turn the error of a full disk, which may arise at a later call, into a UserError."""
    try:
      yield
    except Exception as error:  # Orbax passes TensorStore's errors on in any type.
      if not full_disk.is_cause(error):
        raise
      raise self._no_space() from error

  def _check_space(self, size: int) -> None:
    # Orbax writes each array twice before it removes the first copy. When the disk is full half-way
    # through, Orbax's threads fill the terminal.
    # The primary process alone writes.
    [full] = processes.any_process(processes.is_primary() and self._is_full(2 * size + 2**20))
    if full:
      raise self._no_space()

  def _is_full(self, needed: int) -> bool:
    if shutil.disk_usage(self._folder).free < needed:
      return True
    try:
      full_disk.reserve(self._folder, needed)
    except OSError as error:
      if not full_disk.is_cause(error):
        raise
      return True
    return False

  def _no_space(self) -> UserError:
    return UserError(
      f'no space is left for a checkpoint in {str(self._folder)!r}; make room, and the same '
      'command goes on from the latest good one'
    )
