"""Checkpoints of a whole cohort: written by Orbax in the background, checked by us when read."""

import collections
import contextlib
import errno
import hashlib
import logging
import os
import pathlib
import shutil
import textwrap
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes

logger = logging.getLogger(__name__)

KEPT = 2

# The names of a state's fields in checkpoints of version 0.1.0.
_EARLIER_NAMES = {'.opt_state': '.momentum', '.loss_sums': '.sums'}

# Orbax numbers all saves of a process by one variable, so that two at once wait for each other's
# signals.
_TURN = threading.Lock()


class Checkpoints:
  """The checkpoints in one folder, named by step; the latest two are kept.

  Orbax restores flipped bytes without a word, so each checkpoint carries a SHA-256 of what was
  saved, and only one that still has it is taken. A tree is saved as one array for each type: for
  each array of a save TensorStore 0.1.86 leaks the strings of its description, a kibibyte.
  """

  def __init__(self, folder: pathlib.Path, alone: bool = True):
    """`alone`: no other thread saves; else each save waits for its turn and until it is done."""
    self._turn = contextlib.nullcontext() if alone else _TURN
    self._alone = alone
    self._folder = folder.resolve()  # A relative path fails in Orbax's thread, unseen.
    self._manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=preservation_policy.LatestN(KEPT),
        enable_async_checkpointing=True,
      ),
    )

  def save(self, step: int, state: Any, notes: dict[str, Any]) -> None:
    """Saves in the background, if nobody else does.

    Args:
      step: steps done; a step that is there already is left as it is.
      state: a tree of arrays.
      notes: JSON values that go with it.

    Raises:
      UserError: the disk is full, at this save or at the one before.
    """
    host = jax.tree.map(np.asarray, state)
    self._check_space(sum(leaf.nbytes for leaf in jax.tree.leaves(host)))
    notes = notes | {'sha256': digest(host)}
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(_packed(host)), notes=ocp.args.JsonSave(notes)
    )
    with self._writing(), self._turn:
      self._manager.save(step, args=args)
      if not self._alone:
        self._manager.wait_until_finished()

  def restore(self, like: Any) -> tuple[int, Any, dict[str, Any]] | None:
    """The newest intact checkpoint as (step, state, notes), or None if there is none at all.

    Damaged ones that are newer are removed, as their step will be saved again.

    Args:
      like: a tree of arrays or shapes, with the structure that was saved.

    Raises:
      UserError: there are checkpoints, and none is intact.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    damaged = []
    for step in steps:
      try:
        restored = self._manager.restore(
          step,
          args=ocp.args.Composite(
            state=ocp.args.StandardRestore(_packed_shapes(like)),
            notes=ocp.args.JsonRestore(),
          ),
        )
        state = _unpacked(restored.state, like)
        if restored.notes['sha256'] not in (digest(state), digest(state, _EARLIER_NAMES)):
          raise ValueError('its bytes are not those that were saved')
      except Exception as error:  # Orbax raises a bare Exception for truncated payloads.
        reason = textwrap.shorten(str(error), 200) or type(error).__name__
        logger.warning('checkpoint %d in %s is damaged: %s', step, self._folder, reason)
        damaged.append(step)
        continue
      if damaged:
        processes.barrier('damaged checkpoints')
        for bad in damaged if processes.is_primary() else ():
          shutil.rmtree(self._folder / str(bad))
        processes.barrier('removed checkpoints')
        self._manager.reload()
      return step, state, restored.notes
    if steps:
      raise UserError(
        f'none of the checkpoints in {str(self._folder)!r} is intact '
        f'(steps {", ".join(map(str, steps))}); remove that folder to start over'
      )
    return None

  def wait(self) -> None:
    """Returns when all that was saved is on disk; raises what went wrong there."""
    with self._writing():
      self._manager.wait_until_finished()

  def close(self) -> None:
    with self._writing():
      self._manager.close()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Turns a full disk, which may come out at a later call than caused it, into one line."""
    try:
      yield
    except (OSError, ValueError) as error:
      if os.strerror(errno.ENOSPC) not in str(error):
        raise
      raise self._no_space() from error

  def _check_space(self, size: int) -> None:
    # Orbax writes each array twice before it removes the first copy; when it runs out of disk
    # half-way, its threads fill the terminal.
    if shutil.disk_usage(self._folder).free < 2 * size + 2**20:
      raise self._no_space()

  def _no_space(self) -> UserError:
    return UserError(
      f'no space is left for a checkpoint in {str(self._folder)!r}; make room, and the same '
      'command goes on from the latest good one'
    )


def _by_type(tree: Any) -> dict[str, list[Any]]:
  """{dtype: the leaves of that type}, each in order."""
  found = collections.defaultdict(list)
  for leaf in jax.tree.leaves(tree):
    found[str(leaf.dtype)].append(leaf)
  return found


def _packed(tree: Any) -> dict[str, np.ndarray]:
  """{dtype: all values of that type, [n]}."""
  return {
    dtype: np.concatenate([leaf.ravel() for leaf in leaves])
    for dtype, leaves in _by_type(tree).items()
  }


def _packed_shapes(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
  """The same of arrays or shapes, as shapes."""
  return {
    dtype: jax.ShapeDtypeStruct((sum(leaf.size for leaf in leaves),), leaves[0].dtype)
    for dtype, leaves in _by_type(tree).items()
  }


def _unpacked(packed: Mapping[str, Any], like: Any) -> Any:
  """What `_packed` was given, in the structure of `like`."""
  rest = {dtype: np.asarray(values) for dtype, values in packed.items()}

  def taken(leaf):
    values = rest[str(leaf.dtype)]
    rest[str(leaf.dtype)] = values[leaf.size :]
    return values[: leaf.size].reshape(leaf.shape)

  return jax.tree.map(taken, like)


def digest(tree: Any, names: Mapping[str, str] | None = None) -> str:
  """Return the SHA-256 (hex) over each leaf's path, dtype, shape and bytes.

  Args:
    tree: of arrays.
    names: {name in a path: the name that takes its place}.
  """
  sha256 = hashlib.sha256()
  for path, leaf in jax.tree.leaves_with_path(tree):
    array = np.ascontiguousarray(leaf)
    place = jax.tree_util.keystr(path)
    for name, other in (names or {}).items():
      place = place.replace(name, other)
    sha256.update(f'{place} {array.dtype} {array.shape}\n'.encode())
    sha256.update(array.tobytes())
  return sha256.hexdigest()
