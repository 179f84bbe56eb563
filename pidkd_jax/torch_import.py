"""PyTorch state dicts of the community's checkpoints as Flax variables; needs numpy only.

Key names: RepDistiller, mdistiller and SimKD share them for these families.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.errors import UserError
from pidkd_jax.types import Variables

# A BatchNorm's entries in PyTorch -> (collection, name in Flax).
_NORM = {
    'weight': ('params', 'scale'),
    'bias': ('params', 'bias'),
    'running_mean': ('batch_stats', 'mean'),
    'running_var': ('batch_stats', 'var'),
}

# Family -> (pattern of a PyTorch module's name, its path in Flax) in order of trial. A path
# that ends in 'norm' is a BatchNorm's. `\1` is kept; a block's number counts from 1 in Flax.
_PATHS = {
    'ResNet': (
        (r'conv1', 'stem/conv'),
        (r'bn1', 'stem/norm'),
        (r'layer(\d+)\.(\d+)\.conv1', r'stage\1_block\2/first/conv'),
        (r'layer(\d+)\.(\d+)\.bn1', r'stage\1_block\2/first/norm'),
        (r'layer(\d+)\.(\d+)\.conv2', r'stage\1_block\2/second/conv'),
        (r'layer(\d+)\.(\d+)\.bn2', r'stage\1_block\2/second/norm'),
        (r'layer(\d+)\.(\d+)\.downsample\.0', r'stage\1_block\2/shortcut/conv'),
        (r'layer(\d+)\.(\d+)\.downsample\.1', r'stage\1_block\2/shortcut/norm'),
        (r'fc', 'classifier/linear'),
    ),
    'WRN': (
        (r'conv1', 'stem'),
        (r'block(\d+)\.layer\.(\d+)\.bn1', r'stage\1_block\2/norm1'),
        (r'block(\d+)\.layer\.(\d+)\.conv1', r'stage\1_block\2/conv1'),
        (r'block(\d+)\.layer\.(\d+)\.bn2', r'stage\1_block\2/norm2'),
        (r'block(\d+)\.layer\.(\d+)\.conv2', r'stage\1_block\2/conv2'),
        (r'block(\d+)\.layer\.(\d+)\.convShortcut', r'stage\1_block\2/shortcut'),
        (r'bn1', 'norm'),
        (r'fc', 'classifier/linear'),
    ),
}


def _path(family: str, module: str) -> str | None:
  for pattern, path in _PATHS[family]:
    match = re.fullmatch(pattern, module)
    if match:
      groups = match.groups()
      if len(groups) == 2:
        groups = (groups[0], str(int(groups[1]) + 1))
      return re.sub(r'\\(\d)', lambda m: groups[int(m.group(1)) - 1], path)
  return None


def _entry(family: str, key: str, value: np.ndarray) -> tuple[tuple[str, ...], np.ndarray] | None:
  """One PyTorch entry as (Flax path, array), or None if the key is not this family's."""
  module, _, leaf = key.rpartition('.')
  path = _path(family, module)
  if path is None:
    return None
  if re.search(r'norm\d*$', path):
    if leaf not in _NORM:
      return None
    collection, name = _NORM[leaf]
    return (collection, *path.split('/'), name), value
  if leaf == 'bias':
    return ('params', *path.split('/'), 'bias'), value
  # OIHW -> HWIO, [out, in] -> [in, out].
  axes = (2, 3, 1, 0) if value.ndim == 4 else (1, 0)
  return ('params', *path.split('/'), 'kernel'), value.transpose(axes)


def convert(state_dict: Mapping[str, np.ndarray], model: str) -> Variables:
  """A PyTorch state dict as the variables of `models.create(model, ...)`.

  Args:
    state_dict: numpy arrays under PyTorch's keys; convolutions OIHW, linear layers [out, in].
      `num_batches_tracked` is left out.
    model: a name of `models.names()`; the number of classes is the state dict's own.

  Returns:
    {'params': ..., 'batch_stats': ...}, float32.

  Raises:
    UserError: unknown model, or keys that are missing, surplus or misshapen, with their names.
  """
  if 'fc.weight' not in state_dict:
    raise UserError(f"not a state dict of {model!r}: it lacks 'fc.weight'")
  network = models.create(model, num_classes=len(state_dict['fc.weight']))
  family = type(network).__name__
  expected = jax.eval_shape(
      network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  )
  expected = traverse_util.flatten_dict(expected)
  converted, surplus, misshapen = {}, [], []
  for key, value in state_dict.items():
    if key.endswith('num_batches_tracked'):
      continue
    entry = _entry(family, key, np.asarray(value, np.float32))
    if entry is None or entry[0] not in expected:
      surplus.append(key)
    elif entry[1].shape != expected[entry[0]].shape:
      misshapen.append(f'{key} {list(np.shape(value))}')
    else:
      converted[entry[0]] = np.ascontiguousarray(entry[1])
  missing = ['/'.join(path) for path in expected if path not in converted]
  if surplus or misshapen or missing:
    raise UserError(
        f'the state dict does not fit {model!r}: '
        + '; '.join(
            f'{what}: {", ".join(keys[:5])}{" ..." if len(keys) > 5 else ""}'
            for what, keys in (('surplus', surplus), ('misshapen', misshapen), ('missing', missing))
            if keys
        )
    )
  return traverse_util.unflatten_dict(converted)
