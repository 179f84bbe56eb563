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

# A variable's name in Flax -> in PyTorch.
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}

# Family -> (pattern of a module's path in Flax, its name in PyTorch). Stages count from 1 in both,
# blocks from 1 in Flax and from 0 in PyTorch.
_MODULES = {
  'ResNet': (
    (r'stem/conv', 'conv1'),
    (r'stem/norm', 'bn1'),
    (r'stage(\d+)_block(\d+)/first/conv', 'layer{stage}.{block}.conv1'),
    (r'stage(\d+)_block(\d+)/first/norm', 'layer{stage}.{block}.bn1'),
    (r'stage(\d+)_block(\d+)/second/conv', 'layer{stage}.{block}.conv2'),
    (r'stage(\d+)_block(\d+)/second/norm', 'layer{stage}.{block}.bn2'),
    (r'stage(\d+)_block(\d+)/shortcut/conv', 'layer{stage}.{block}.downsample.0'),
    (r'stage(\d+)_block(\d+)/shortcut/norm', 'layer{stage}.{block}.downsample.1'),
    (r'classifier/linear', 'fc'),
  ),
  'WRN': (
    (r'stem', 'conv1'),
    (r'stage(\d+)_block(\d+)/norm1', 'block{stage}.layer.{block}.bn1'),
    (r'stage(\d+)_block(\d+)/conv1', 'block{stage}.layer.{block}.conv1'),
    (r'stage(\d+)_block(\d+)/norm2', 'block{stage}.layer.{block}.bn2'),
    (r'stage(\d+)_block(\d+)/conv2', 'block{stage}.layer.{block}.conv2'),
    (r'stage(\d+)_block(\d+)/shortcut', 'block{stage}.layer.{block}.convShortcut'),
    (r'norm', 'bn1'),
    (r'classifier/linear', 'fc'),
  ),
}


def _key(family: str, path: tuple[str, ...]) -> str:
  """The PyTorch key of a Flax variable (collection, module, ..., name)."""
  _, *modules, leaf = path
  for pattern, name in _MODULES[family]:
    match = re.fullmatch(pattern, '/'.join(modules))
    if match:
      if match.groups():
        stage, block = map(int, match.groups())
        name = name.format(stage=stage, block=block - 1)
      return f'{name}.{_LEAVES[leaf]}'
  raise LookupError(f'{family} has no PyTorch name for {"/".join(modules)}')


def _to_flax(value: np.ndarray) -> np.ndarray:
  """OIHW -> HWIO, [out, in] -> [in, out], vectors as they are; float32."""
  axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}.get(value.ndim)
  return np.ascontiguousarray(value.transpose(axes), np.float32)


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
  given = {
    key: np.asarray(value)
    for key, value in state_dict.items()
    if not key.endswith('num_batches_tracked')
  }
  classes = given['fc.weight'].shape[0] if np.ndim(given.get('fc.weight')) == 2 else 1
  network = models.create(model, num_classes=classes)
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  expected = traverse_util.flatten_dict(jax.eval_shape(network.init, jax.random.key(0), image))
  keys = {_key(type(network).__name__, path): path for path in expected}
  converted = {keys[key]: _to_flax(given[key]) for key in keys.keys() & given.keys()}
  wrong = {
    'missing': sorted(keys.keys() - given.keys()),
    'surplus': sorted(given.keys() - keys.keys()),
    'misshapen': sorted(
      f'{key} {list(given[key].shape)}'
      for key, path in keys.items()
      if path in converted and converted[path].shape != expected[path].shape
    ),
  }
  if any(wrong.values()):
    raise UserError(
      f'the state dict does not fit {model!r}: '
      + '; '.join(
        f'{what}: {", ".join(names[:5])}{", ..." if len(names) > 5 else ""}'
        for what, names in wrong.items()
        if names
      )
    )
  return traverse_util.unflatten_dict(converted)
