"""Import PyTorch checkpoints of RepDistiller, mdistiller and SimKD.

`read` needs PyTorch, an extra of this package; `convert`, `network` and `distilled` do not.
"""

import argparse
import dataclasses
import pathlib
import pickle
from collections.abc import Iterable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_names
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Variables
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.nn.projectors import Projector

# {PyTorch's key: array}.
StateDict = Mapping[str, np.ndarray]
# (collection, module, ..., name) of a variable.
_Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """The state dicts of a PyTorch file.

  Attributes:
    model: the network's, without the prefix of DataParallel.
    projector: that of SimKD's projector, or None.
  """

  model: StateDict
  projector: StateDict | None


def read(path: pathlib.Path) -> Checkpoint:
  """Read a checkpoint of RepDistiller, mdistiller or SimKD; no code in it runs.

  The state dict lies under 'model' or 'state_dict', or is the file itself. Other entries, such as
  the optimizer's state or the best accuracy, are ignored.

  Args:
    path: of the PyTorch file.

  Raises:
    UserError: PyTorch is not installed. Or the file is missing or damaged, holds no state dict, or
      holds objects beyond tensors and numbers.
  """
  try:
    import torch
  except ImportError as error:
    raise UserError(
      f"reading {str(path)!r} needs PyTorch: pip install 'pidkd_jax[torch]' (or pip install torch)"
    ) from error
  if not path.is_file():
    raise UserError(f'checkpoint {str(path)!r} is not there; give the path of a PyTorch file')
  # Some files hold their options and their best accuracy too, a numpy number. Both are harmless.
  # Files written under numpy 1 have another name for such a number.
  scalar = np._core.multiarray.scalar  # pyright: ignore[reportAttributeAccessIssue]
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
    name = str(error).partition('GLOBAL ')[2].split()[:1]
    raise UserError(
      f'checkpoint {str(path)!r} is not loaded: it '
      + (f'names code ({name[0]})' if name else 'is none or holds more than tensors')
      + ', which could do anything; where you trust it, save its tensors alone: '
      "torch.save(torch.load(FILE, weights_only=False)['model'], NEW)"
    ) from error
  except Exception as error:  # Other files fail in many ways.
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
  """Return a state dict of tensors as numpy arrays, without the prefixes of wrappers."""
  if not isinstance(state, Mapping) or not state:
    raise UserError(f'{str(path)!r} holds no state dict where one is expected; save that')
  arrays, invalid = {}, []
  for key, value in state.items():
    try:
      # numpy has no bfloat16.
      value = value.float() if value.is_floating_point() else value
      arrays[key] = value.detach().numpy()
    except (AttributeError, TypeError, RuntimeError, NotImplementedError):
      invalid.append(str(key))
  invalid += [str(key) for key in arrays if not isinstance(key, str)]
  if invalid:
    raise UserError(
      f'{str(path)!r} holds no state dict: {", ".join(invalid[:3])} is no dense tensor; a state '
      "dict lies under 'model' or 'state_dict', or is the file itself"
    )
  for prefix in ('module.', '_orig_mod.'):  # DataParallel's and torch.compile's.
    if all(key.startswith(prefix) for key in arrays):
      arrays = {key.removeprefix(prefix): value for key, value in arrays.items()}
  if {key.partition('.')[0] for key in arrays} >= {'student', 'teacher'}:
    raise UserError(
      f"{str(path)!r} holds a whole distillation (student.*, teacher.*); mdistiller's files of the "
      'student alone are called student_best and student_latest'
    )
  return arrays


def convert(state_dict: StateDict, model: str) -> Variables:
  """Convert a PyTorch state dict to the variables of `models.create(model, ...)`.

  Args:
    state_dict: numpy arrays under PyTorch's keys; convolutions OIHW, linear layers [out, in].
      `num_batches_tracked` is ignored.
    model: a name of `models.names()`. The number of classes is the state dict's own.

  Returns:
    {'params': ..., 'batch_stats': ...}, float32.

  Raises:
    UserError: the model is unknown. Or keys are missing, surplus or misshapen; the message names
      them, and the model that the state dict looks like.
  """
  return network(state_dict, model).variables


def network(state_dict: StateDict, model: str) -> Network:
  """Convert a PyTorch state dict to a network; arguments and errors as `convert`'s."""
  weights = _weights(state_dict)
  created, expected = _expected(weights, model)
  converted, mismatch = _fit(weights, type(created).__name__, expected)
  if mismatch:
    raise UserError(
      f'the state dict does not fit {model!r} ({_likeness(weights, model)}): {mismatch}'
    )
  _check_finite(converted)
  return Network(traverse_util.unflatten_dict(converted), created)


def distilled(
  checkpoint: Checkpoint, model: str, teacher: Network, image_shape: tuple[int, int, int]
) -> Network:
  """Convert a student of SimKD (arXiv:2203.14001) with its projector.

  Args:
    checkpoint: of the student, with its projector.
    model: the student's name.
    teacher: the projector was trained on its features; its classifier joins the student.
    image_shape: (H, W, C) of the training images.

  Returns:
    A `Distilled` network: encoder, one projector, the teacher's classifier.

  Raises:
    UserError: as `convert`, or the projector does not lead to this teacher.
  """
  if checkpoint.projector is None:
    raise UserError("the checkpoint has no 'proj', so it is no student of SimKD")
  student = network(checkpoint.model, model)
  weights = _weights(checkpoint.projector)
  image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  features = jax.eval_shape(Network.encode, teacher, image)
  channels = features.target.shape[-1]
  first = weights.get('transfer.0.weight')
  if first is None or first.ndim != 4 or not 0 < len(first) <= channels:
    raise UserError(
      "the checkpoint's 'proj' is no projector of SimKD onto "
      f'{channels} channels: its transfer.0.weight is '
      + ('not there' if first is None else f'of shape {list(first.shape)}')
    )
  student_model, teacher_model = (cast(Model, part.model) for part in (student, teacher))
  created = Distilled(
    num_classes=teacher_model.num_classes,
    student=student_model.clone(num_classes=teacher_model.num_classes),
    teacher=teacher_model,
    num_projectors=1,
    hidden=len(first),
    integration='mean',
    target=features.target.shape[1:],
    target_rectified=features.rectified,
  )
  shapes = jax.eval_shape(created.init, jax.random.key(0), image)
  expected: dict[_Path, Any] = traverse_util.flatten_dict(shapes)
  stack = {path: leaf for path, leaf in expected.items() if path[1] == 'projectors'}
  single = {
    _in_projector(path): jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
    for path, leaf in stack.items()
  }
  projector, mismatch = _fit(weights, Projector.__name__, single)
  if mismatch:
    raise UserError(
      f"the checkpoint's projector does not lead from {model!r} to this teacher: {mismatch}"
    )
  _check_finite(projector)
  parts = {
    **{path: projector[_in_projector(path)][None] for path in stack},
    **_prefixed('student', student.variables),
    **_prefixed('teacher', teacher.variables),
  }
  # The student's classifier and the teacher's encoder are not deployed, so they are left out.
  return Network(traverse_util.unflatten_dict({path: parts[path] for path in expected}), created)


def _check_finite(values: Mapping[_Path, np.ndarray]) -> None:
  broken = ['/'.join(path[1:]) for path, value in values.items() if not np.isfinite(value).all()]
  if broken:
    raise UserError(
      f'the state dict holds values that are not finite, in {_listed(broken)}; take an earlier one'
    )


def _in_projector(path: _Path) -> _Path:
  """Return a stack variable's path within one projector: without the stack's two modules."""
  return path[0], *path[3:]


def _prefixed(module: str, variables: Variables) -> dict[_Path, Any]:
  """Return variables by their paths, as those of a module."""
  flat = traverse_util.flatten_dict(variables)
  return {(collection, module, *rest): value for (collection, *rest), value in flat.items()}


def _weights(state_dict: StateDict) -> dict[str, np.ndarray]:
  """Return a state dict's arrays without BatchNorm's counters."""
  return {
    key: np.asarray(value)
    for key, value in state_dict.items()
    if not key.endswith('num_batches_tracked')
  }


def _expected(weights: StateDict, name: str) -> tuple[Model, dict[_Path, Any]]:
  """Return the model called `name`, for the weights' classes, and its variables' shapes."""
  if ':' in name:
    raise UserError(
      f'{name!r} is not of this package, so its PyTorch names are not known; make its variables '
      'yourself and save them with pidkd_jax.bundles.bundle.save'
    )
  family = type(models.create(name, num_classes=1)).__name__
  classifier = torch_names.key(family, ('params', 'classifier', 'linear', 'kernel'))
  num_classes = weights[classifier].shape[0] if np.ndim(weights.get(classifier, 0)) > 1 else 1
  model = models.create(name, num_classes=num_classes)
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  return model, traverse_util.flatten_dict(jax.eval_shape(model.init, jax.random.key(0), image))


def _fit(
  weights: StateDict, family: str, expected: Mapping[_Path, jax.ShapeDtypeStruct]
) -> tuple[dict[_Path, np.ndarray], str]:
  """Return the expected variables' values, and a text on all that does not fit ('' if all does)."""
  keys = {torch_names.key(family, path): path for path in expected}
  converted = {
    keys[key]: _to_flax(weights[key], len(expected[keys[key]].shape))
    for key in keys.keys() & weights.keys()
  }
  mismatches = {
    'missing': keys.keys() - weights.keys(),
    'surplus': weights.keys() - keys.keys(),
    'misshapen': {
      f'{key} {list(weights[key].shape)}'
      for key, path in keys.items()
      if path in converted and converted[path].shape != expected[path].shape
    },
  }
  texts = (f'{kind}: {_listed(names)}' for kind, names in mismatches.items() if names)
  return converted, '; '.join(texts)


def _listed(names: Iterable[str]) -> str:
  names = sorted(names)
  return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def _to_flax(value: np.ndarray, ndim: int) -> np.ndarray:
  """Convert an array to float32: OIHW -> HWIO, [out, in] -> [in, out], vectors as they are."""
  if value.ndim == 4 and ndim == 2 and value.shape[2:] == (1, 1):
    value = value[:, :, 0, 0]  # A classifier that is a 1x1 convolution.
  axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, range(value.ndim))
  return np.ascontiguousarray(value.transpose(*axes), np.float32)


def _likeness(weights: StateDict, wanted: str) -> str:
  """Return a text on the model that shares the most entries, name and shape, with the weights.

  If nearly all entries are those of `wanted`, the others are not tried, as that takes seconds.
  """
  entries = {(key, _essential(value.shape)) for key, value in weights.items()}
  shares = {}
  for name in (wanted, *models.names()):
    model, expected = _expected(weights, name)
    family = type(model).__name__
    theirs = {
      (torch_names.key(family, path), _essential(_to_torch(leaf.shape)))
      for path, leaf in expected.items()
    }
    shares[name] = len(entries & theirs) / len(entries | theirs)
    if name == wanted and shares[name] > 0.9:
      break
  best = max(shares, key=lambda name: shares[name])
  if shares[best] == 1:
    return f'it is that of {best!r}'
  if shares[best] > 0.5:
    return f'it looks most like {best!r}, with {shares[best]:.0%} of all entries alike'
  return 'it looks like none of the networks here'


def _to_torch(shape: tuple[int, ...]) -> tuple[int, ...]:
  axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), range(len(shape)))
  return tuple(shape[axis] for axis in axes)


def _essential(shape: tuple[int, ...]) -> tuple[int, ...]:
  """Return a shape without the spatial axes of a 1x1 kernel, as a classifier may be one."""
  return shape[:2] if shape[2:] == (1, 1) else shape
