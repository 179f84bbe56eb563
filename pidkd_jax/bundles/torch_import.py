"""Import PyTorch checkpoints of RepDistiller, mdistiller and SimKD.

`read` needs PyTorch, an extra of this package; `convert`, `network` and `distilled` do not.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax.bundles import torch_file, torch_likeness, torch_names
from pidkd_jax.bundles.torch_file import Checkpoint, StateDict, read
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Variables
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.nn.projectors import Projector

__all__ = ['Checkpoint', 'StateDict', 'convert', 'distilled', 'network', 'read', 'suggestion']


def convert(state_dict: StateDict, model: str) -> Variables:
  """Convert a PyTorch state dict to the variables of `models.create(model, ...)`.

  Args:
    state_dict: numpy arrays under PyTorch's keys; convolutions OIHW, linear layers [out, in].
      `num_batches_tracked` is ignored, as are single numbers without a dot in their name.
    model: a name of `models.names()`. The number of classes is the state dict's own.

  Returns:
    {'params': ..., 'batch_stats': ...}, float32.

  Raises:
    UserError: the model is unknown. Or the state dict is of another model or library, which the
      message names; or keys are missing, surplus or misshapen.
  """
  return network(state_dict, model).variables


def network(state_dict: StateDict, model: str) -> Network:
  """Convert a PyTorch state dict to a network; arguments and errors as `convert`'s."""
  if ':' in model:
    raise UserError(
      f'{model!r} is not of this package, so its PyTorch names are not known; make its variables '
      'yourself and save them with pidkd_jax.bundles.bundle.save'
    )
  weights = _weights(state_dict)
  # Before networks are traced, which takes seconds.
  if not torch_likeness.may_be(weights, model) and (text := torch_likeness.foreign(weights)):
    raise UserError(text)
  created, converted, mismatch = _convert(weights, model)
  part, inner = torch_file.unwrapped(weights)
  while mismatch and part:  # A wrapper may have the name of a module, such as `classifier`.
    created, converted, rest = _convert(inner, model)
    mismatch = rest and mismatch  # The message is on the state dict as it was given.
    part, inner = torch_file.unwrapped(inner)
  if mismatch:
    raise UserError(torch_likeness.explain(weights, model, mismatch))
  _check_values(converted)
  return Network(traverse_util.unflatten_dict(converted), created)


def suggestion(checkpoint: Checkpoint) -> str:
  """Return in one line what a checkpoint is, for a user who has not named its network."""
  return torch_likeness.suggestion(_weights(checkpoint.model))


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
  shapes = Network.shapes(created, image_shape).variables
  expected: dict[torch_likeness.Path, Any] = traverse_util.flatten_dict(shapes)
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
  _check_values(projector)
  parts = {
    **{path: projector[_in_projector(path)][None] for path in stack},
    **_prefixed('student', student.variables),
    **_prefixed('teacher', teacher.variables),
  }
  # The student's classifier and the teacher's encoder are not deployed, so they are left out.
  return Network(traverse_util.unflatten_dict({path: parts[path] for path in expected}), created)


def _convert(
  weights: StateDict, model: str
) -> tuple[Model, dict[torch_likeness.Path, np.ndarray], str]:
  """Return the model, its variables, and a text on all that does not fit ('' if all does)."""
  created, expected = _expected(weights, model)
  return created, *_fit(weights, type(created).__name__, expected)


def _check_values(values: Mapping[torch_likeness.Path, np.ndarray]) -> None:
  """Raise UserError for values that no trained network has."""
  broken = ['/'.join(path[1:]) for path, value in values.items() if not np.isfinite(value).all()]
  if broken:
    raise UserError(
      f'the state dict holds values that are not finite, in {_listed(broken)}; take an earlier one'
    )
  negative = ['/'.join(path[1:]) for path, v in values.items() if path[-1] == 'var' and v.min() < 0]
  if negative:
    raise UserError(f'the state dict holds variances below 0, in {_listed(negative)}; get it anew')


def _in_projector(path: torch_likeness.Path) -> torch_likeness.Path:
  """Return a stack variable's path within one projector: without the stack's two modules."""
  return path[0], *path[3:]


def _prefixed(module: str, variables: Variables) -> dict[torch_likeness.Path, Any]:
  """Return variables by their paths, as those of a module."""
  flat = traverse_util.flatten_dict(variables)
  return {(collection, module, *rest): value for (collection, *rest), value in flat.items()}


def _weights(state_dict: StateDict) -> dict[str, np.ndarray]:
  """Return a state dict's arrays without counters: BatchNorm's, and numbers beside the network.

  Raises:
    UserError: an array is not of floats. Quantised weights have scales beside them, and the real
      part of complex ones is another network.
  """
  weights = {
    key: np.asarray(value)
    for key, value in state_dict.items()
    if not key.endswith('num_batches_tracked') and not torch_file.is_number_beside(key, value)
  }
  odd = [
    f'{key} ({value.dtype})'
    for key, value in weights.items()
    if not jnp.issubdtype(value.dtype, jnp.floating)
  ]
  if odd:
    raise UserError(
      f'the state dict holds values that are no floats, in {_listed(odd)}; save it in float32'
    )
  return weights


def _expected(
  weights: StateDict, name: str
) -> tuple[Model, Mapping[torch_likeness.Path, jax.ShapeDtypeStruct]]:
  """Return the model called `name`, for the weights' classes, and its variables' shapes."""
  return torch_likeness.expected(name, torch_likeness.num_classes(weights, name))


def _fit(
  weights: StateDict, family: str, expected: Mapping[torch_likeness.Path, jax.ShapeDtypeStruct]
) -> tuple[dict[torch_likeness.Path, np.ndarray], str]:
  """Return the expected variables' values, and a text on all that does not fit ('' if all does)."""
  keys = {torch_names.key(family, path): path for path in expected}
  # Before any copy is made: a tensor may claim any shape.
  shapes = {
    key: _in_order(weights[key], len(expected[path].shape)).shape
    for key, path in keys.items()
    if key in weights
  }
  converted = {
    keys[key]: _to_flax(weights[key], len(expected[keys[key]].shape))
    for key, shape in shapes.items()
    if shape == expected[keys[key]].shape
  }
  mismatches = {
    'missing': keys.keys() - weights.keys(),
    'surplus': weights.keys() - keys.keys(),
    'misshapen': {
      f'{key} {list(weights[key].shape)}'
      for key, shape in shapes.items()
      if shape != expected[keys[key]].shape
    },
  }
  texts = (f'{kind}: {_listed(names)}' for kind, names in mismatches.items() if names)
  return converted, '; '.join(texts)


def _listed(names: Iterable[str]) -> str:
  names = sorted(names)
  return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def _to_flax(value: np.ndarray, ndim: int) -> np.ndarray:
  """Convert an array to float32: OIHW -> HWIO, [out, in] -> [in, out], vectors as they are."""
  return np.ascontiguousarray(_in_order(value, ndim), np.float32)


def _in_order(value: np.ndarray, ndim: int) -> np.ndarray:
  """Return a view with the axes in Flax's order."""
  if value.ndim == 4 and ndim == 2 and value.shape[2:] == (1, 1):
    value = value[:, :, 0, 0]  # A classifier that is a 1x1 convolution.
  axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, range(value.ndim))
  return value.transpose(*axes)
