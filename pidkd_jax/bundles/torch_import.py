"""PyTorch checkpoints of the community as networks of ours.

`convert` and `distilled` need numpy only; `read` needs PyTorch, an extra of this package.
"""

import argparse
import dataclasses
import pathlib
import pickle
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_names
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Network, Variables
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.nn.projectors import Projector

StateDict = Mapping[str, np.ndarray]
_Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """What a PyTorch file holds of a network.

  Attributes:
    model: the network's state dict, without the prefix of DataParallel.
    projector: the state dict of SimKD's projector, or None.
  """

  model: StateDict
  projector: StateDict | None


def read(path: pathlib.Path) -> Checkpoint:
  """Reads a checkpoint of RepDistiller, mdistiller or SimKD; runs nothing that it contains.

  The state dict lies under 'model' or 'state_dict' or is the file itself; what else is there
  (the optimizer's state, the best accuracy) is left out.

  Raises:
    UserError: PyTorch is not installed; the file is missing, damaged, holds objects beyond tensors
      and numbers, or no state dict.
  """
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"reading {str(path)!r} needs PyTorch: pip install 'pidkd_jax[torch]' (or pip install torch)"
    ) from error
  if not path.is_file():
    raise UserError(f'checkpoint {str(path)!r} is not there; give the path of a PyTorch file')
  # Beside the weights some save their options and, as a number of numpy, their best accuracy: both
  # harmless. Files written under numpy 1 have another name for such a number.
  scalar = np._core.multiarray.scalar
  harmless = [
    argparse.Namespace,
    np.dtype,
    scalar,
    (scalar, 'numpy.core.multiarray.scalar'),
    *map(type, map(np.dtype, 'fdil')),
  ]
  try:
    with torch.serialization.safe_globals(harmless):
      content = torch.load(path, map_location='cpu', weights_only=True)
  except pickle.UnpicklingError as error:
    what = str(error).partition('GLOBAL ')[2].split()[:1]
    raise UserError(
      f'checkpoint {str(path)!r} is not loaded: it '
      + (f'names code ({what[0]})' if what else 'is none or holds more than tensors')
      + ', which could do anything; where you trust it, save its tensors alone: '
      "torch.save(torch.load(FILE, weights_only=False)['model'], NEW)"
    ) from error
  except Exception as error:  # What is no PyTorch file fails in as many ways as there are files.
    reason = ' '.join(f'{type(error).__name__} {error}'.split())[:100]
    raise UserError(
      f'{str(path)!r} is damaged or no PyTorch file ({reason}); get it anew'
    ) from error
  if not isinstance(content, Mapping):
    raise UserError(f'{str(path)!r} holds a {type(content).__name__} and no state dict; save that')
  states = [content[name] for name in ('model', 'state_dict') if name in content]
  projector = content.get('proj')
  return Checkpoint(
    _arrays(path, states[0] if states else content),
    None if projector is None else _arrays(path, projector),
  )


def _arrays(path: pathlib.Path, state: Any) -> StateDict:
  """A state dict of tensors as numpy arrays."""
  if not isinstance(state, Mapping) or not state:
    raise UserError(f'{str(path)!r} holds no state dict where one is expected; save that')
  arrays, strange = {}, []
  for key, value in state.items():
    try:
      # By way of float: numpy has no bfloat16.
      value = value.float() if value.is_floating_point() else value
      arrays[key] = value.detach().numpy()
    except (AttributeError, TypeError, RuntimeError, NotImplementedError):
      strange.append(str(key))
  strange += [str(key) for key in arrays if not isinstance(key, str)]
  if strange:
    raise UserError(
      f'{str(path)!r} holds no state dict: {", ".join(strange[:3])} is no dense tensor; what is '
      "looked for lies under 'model' or 'state_dict', or is the file itself"
    )
  for prefix in ('module.', '_orig_mod.'):  # Of DataParallel and of torch.compile.
    if all(key.startswith(prefix) for key in arrays):
      arrays = {key.removeprefix(prefix): value for key, value in arrays.items()}
  if {key.partition('.')[0] for key in arrays} >= {'student', 'teacher'}:
    raise UserError(
      f"{str(path)!r} holds a whole distillation (student.*, teacher.*); mdistiller's files of the "
      'student alone are called student_best and student_latest'
    )
  return arrays


def convert(state_dict: StateDict, model: str) -> Variables:
  """A PyTorch state dict as the variables of `models.create(model, ...)`.

  Args:
    state_dict: numpy arrays under PyTorch's keys; convolutions OIHW, linear layers [out, in].
      `num_batches_tracked` is left out.
    model: a name of `models.names()`; the number of classes is the state dict's own.

  Returns:
    {'params': ..., 'batch_stats': ...}, float32.

  Raises:
    UserError: unknown model, or keys that are missing, surplus or misshapen, with their names and
      with the model that the state dict looks like.
  """
  return network(state_dict, model).variables


def network(state_dict: StateDict, model: str) -> Network:
  """A PyTorch state dict as a network: `convert`, and the model that the variables are for."""
  given = _weights(state_dict)
  made, expected = _expected(given, model)
  converted, wrong = _fit(given, type(made).__name__, expected)
  if wrong:
    raise UserError(f'the state dict does not fit {model!r} ({_likeness(given, model)}): {wrong}')
  _check_finite(converted)
  return Network(traverse_util.unflatten_dict(converted), made)


def distilled(
  checkpoint: Checkpoint, model: str, teacher: Network, image_shape: tuple[int, int, int]
) -> Network:
  """A student of SimKD (arXiv:2203.14001) with its projector and its teacher's classifier.

  Args:
    checkpoint: of the student, with its projector.
    model: the student's name.
    teacher: whose features the projector was trained on.
    image_shape: (H, W, C) of the training.

  Raises:
    UserError: as `convert`; also if the projector does not lead to this teacher.
  """
  if checkpoint.projector is None:
    raise UserError("the checkpoint has no 'proj', so it is no student of SimKD")
  whole = network(checkpoint.model, model)
  given = _weights(checkpoint.projector)
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  target = jax.eval_shape(Network.encode, teacher, image)
  channels = target.target.shape[-1]
  first = given.get('transfer.0.weight')
  if first is None or first.ndim != 4 or not 0 < len(first) <= channels:
    raise UserError(
      "the checkpoint's 'proj' is no projector of SimKD onto "
      f'{channels} channels: its transfer.0.weight is '
      + ('not there' if first is None else f'of shape {list(first.shape)}')
    )
  made = Distilled(
    num_classes=teacher.model.num_classes,
    student=whole.model.clone(num_classes=teacher.model.num_classes),
    teacher=teacher.model,
    num_projectors=1,
    hidden=len(first),
    integration='mean',
    target=target.target.shape[1:],
    target_rectified=target.rectified,
  )
  shapes = jax.eval_shape(made.init, jax.random.key(0), image)
  expected = traverse_util.flatten_dict(shapes)
  stack = {path: leaf for path, leaf in expected.items() if path[1] == 'projectors'}
  single = {
    _inside(path): jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for path, leaf in stack.items()
  }
  projector, wrong = _fit(given, Projector.__name__, single)
  if wrong:
    raise UserError(
      f"the checkpoint's projector does not lead from {model!r} to this teacher: {wrong}"
    )
  _check_finite(projector)
  parts = {
    **{path: projector[_inside(path)][None] for path in stack},
    **_prefixed('student', whole.variables),
    **_prefixed('teacher', teacher.variables),
  }
  # Of student and teacher what is deployed: not the one's classifier, not the other's encoder.
  return Network(traverse_util.unflatten_dict({path: parts[path] for path in expected}), made)


def _check_finite(values: Mapping[_Path, np.ndarray]) -> None:
  broken = ['/'.join(path[1:]) for path, value in values.items() if not np.isfinite(value).all()]
  if broken:
    raise UserError(
      f'the state dict holds values that are not finite, in {_listed(broken)}; take an earlier one'
    )


def _inside(path: _Path) -> _Path:
  """A variable of the stack -> of one projector: without the stack's two modules."""
  return path[0], *path[3:]


def _prefixed(module: str, variables: Variables) -> dict[_Path, Any]:
  flat = traverse_util.flatten_dict(variables)
  return {(collection, module, *rest): value for (collection, *rest), value in flat.items()}


def _weights(state_dict: StateDict) -> dict[str, np.ndarray]:
  return {
    key: np.asarray(value)
    for key, value in state_dict.items()
    if not key.endswith('num_batches_tracked')
  }


def _expected(given: StateDict, name: str) -> tuple[Model, dict[_Path, jax.ShapeDtypeStruct]]:
  """The network called `name`, with as many classes as are given, and its variables' shapes."""
  if ':' in name:
    raise UserError(
      f'{name!r} is not of this package, so its PyTorch names are not known; make its variables '
      'yourself and save them with pidkd_jax.bundles.bundle.save'
    )
  family = type(models.create(name, num_classes=1)).__name__
  classifier = torch_names.key(family, ('params', 'classifier', 'linear', 'kernel'))
  num_classes = given[classifier].shape[0] if np.ndim(given.get(classifier)) > 1 else 1
  made = models.create(name, num_classes=num_classes)
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  return made, traverse_util.flatten_dict(jax.eval_shape(made.init, jax.random.key(0), image))


def _fit(
  given: StateDict, family: str, expected: Mapping[_Path, jax.ShapeDtypeStruct]
) -> tuple[dict[_Path, np.ndarray], str]:
  """The values for the expected variables, and what is wrong with them ('' if nothing is)."""
  keys = {torch_names.key(family, path): path for path in expected}
  converted = {
    keys[key]: _to_flax(given[key], len(expected[keys[key]].shape))
    for key in keys.keys() & given.keys()
  }
  wrong = {
    'missing': keys.keys() - given.keys(),
    'surplus': given.keys() - keys.keys(),
    'misshapen': {
      f'{key} {list(given[key].shape)}'
      for key, path in keys.items()
      if path in converted and converted[path].shape != expected[path].shape
    },
  }
  return converted, '; '.join(f'{what}: {_listed(names)}' for what, names in wrong.items() if names)


def _listed(names: Iterable[str]) -> str:
  names = sorted(names)
  return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def _to_flax(value: np.ndarray, ndim: int) -> np.ndarray:
  """OIHW -> HWIO, [out, in] -> [in, out], vectors as they are; float32."""
  if value.ndim == 4 and ndim == 2 and value.shape[2:] == (1, 1):
    value = value[:, :, 0, 0]  # A classifier that is a 1x1 convolution.
  axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, range(value.ndim))
  return np.ascontiguousarray(value.transpose(*axes), np.float32)


def _likeness(given: StateDict, wanted: str) -> str:
  """Says which of all models shares the most entries of a state dict, name and shape.

  One that is nearly all of `wanted` is taken for that: to look at all others takes seconds.
  """
  entries = {(key, _essential(value.shape)) for key, value in given.items()}
  shares = {}
  for name in (wanted, *models.names()):
    made, expected = _expected(given, name)
    family = type(made).__name__
    theirs = {
      (torch_names.key(family, path), _essential(_to_torch(leaf.shape)))
      for path, leaf in expected.items()
    }
    shares[name] = len(entries & theirs) / len(entries | theirs)
    if name == wanted and shares[name] > 0.9:
      break
  best = max(shares, key=shares.get)
  if shares[best] == 1:
    return f'it is that of {best!r}'
  if shares[best] > 0.5:
    return f'it looks most like {best!r}, with {shares[best]:.0%} of all entries alike'
  return 'it looks like none of the networks here'


def _to_torch(shape: tuple[int, ...]) -> tuple[int, ...]:
  axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), range(len(shape)))
  return tuple(shape[axis] for axis in axes)


def _essential(shape: tuple[int, ...]) -> tuple[int, ...]:
  """A shape without a kernel's spatial ones: a classifier may be a 1x1 convolution."""
  return shape[:2] if shape[2:] == (1, 1) else shape
