"""Trees of arrays as one array for each type, and their digest."""

import collections
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def pack(tree: Any) -> dict[str, np.ndarray]:
  """Pack a tree of arrays into {dtype: all values of that type, [n]}."""
  return {
    dtype: np.concatenate([leaf.ravel() for leaf in leaves])
    for dtype, leaves in _by_type(tree).items()
  }


def packed_shapes(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
  """Return the shapes of `pack` for a tree of arrays or shapes."""
  return {
    dtype: jax.ShapeDtypeStruct((sum(leaf.size for leaf in leaves),), leaves[0].dtype)
    for dtype, leaves in _by_type(tree).items()
  }


def unpack(packed: Mapping[str, Any], like: Any) -> Any:
  """Undo `pack`.

  Args:
    packed: as `pack` returned it.
    like: a tree of arrays or shapes, with the structure that was packed.
  """
  rest = {dtype: np.asarray(values) for dtype, values in packed.items()}

  def take(leaf):
    values = rest[str(leaf.dtype)]
    rest[str(leaf.dtype)] = values[leaf.size :]
    return values[: leaf.size].reshape(leaf.shape)

  return jax.tree.map(take, like)


def digest(tree: Any, renamed: Mapping[str, str] | None = None) -> str:
  """Return the SHA-256 (hex) over each leaf's path, dtype, shape and bytes.

  Args:
    tree: of arrays.
    renamed: {part of a path: the part that takes its place}.
  """
  sha256 = hashlib.sha256()
  for path, leaf in jax.tree.leaves_with_path(tree):
    array = np.ascontiguousarray(leaf)
    place = jax.tree_util.keystr(path)
    for name, other in (renamed or {}).items():
      place = place.replace(name, other)
    sha256.update(f'{place} {array.dtype} {array.shape}\n'.encode())
    sha256.update(array.tobytes())
  return sha256.hexdigest()


def _by_type(tree: Any) -> dict[str, list[Any]]:
  """Return {dtype: the leaves of that type}, each list in the tree's order."""
  leaves = collections.defaultdict(list)
  for leaf in jax.tree.leaves(tree):
    leaves[str(leaf.dtype)].append(leaf)
  return leaves
