"""What a PyTorch state dict is: a network that is built in, or one of another library."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import jax
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_file, torch_layouts, torch_names
from pidkd_jax.bundles.torch_file import StateDict
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network

# (collection, module, ..., name) of a variable.
Path = tuple[str, ...]

# The share of entries above which two networks are said to be alike.
_ALIKE = 0.5
# To trace a deep network takes a second. So only those of about that depth are.
_DEPTHS = 0.6
_IMAGENET_KERNEL = 7
_OTHERS = 'others of timm and torchvision come in by --model timm/NAME or torchvision/NAME'
_REMEDY = f'`pidkd networks` lists the networks that are; {_OTHERS} (docs/how-to/teachers.md)'


@functools.cache
def expected(name: str, num_classes: int) -> tuple[Model, Mapping[Path, jax.ShapeDtypeStruct]]:
  """Return the model called `name` and its variables' shapes."""
  model = models.create(name, num_classes=num_classes)
  flat: Any = traverse_util.flatten_dict(Network.shapes(model, (32, 32, 3)).variables)
  return model, flat


def num_classes(weights: StateDict, name: str) -> int:
  """Return the classes of a state dict's classifier, if it is that of `name`; otherwise 1."""
  classifier = weights.get(_classifier(name))
  return classifier.shape[0] if classifier is not None and classifier.ndim > 1 else 1


def may_be(weights: StateDict, name: str) -> bool:
  """Return whether most of a state dict's keys are those of the family of `name`."""
  return _known(weights, type(models.create(name, num_classes=1)).__name__)


def foreign(weights: StateDict) -> str:
  """Return in one line which network of another library a state dict is, or ''.

  The families of some of them are built in, so it may be a network here nevertheless.
  """
  layout = torch_layouts.find(weights)
  if not layout:
    return ''
  if exact := _exact(_shares(weights, '')):
    return f'the checkpoint is {layout}; import it by the name {_either(exact)}'
  remedy = torch_layouts.remedy(weights) or f'that network is not built in: {_REMEDY}'
  return f'the checkpoint is {layout}; {remedy}'


def explain(weights: StateDict, wanted: str, mismatch: str) -> str:
  """Return what a state dict is that is not that of `wanted`, as a message.

  Args:
    weights: the state dict.
    wanted: a network's name.
    mismatch: the entries in which they differ, by name.
  """
  shares = _shares(weights, wanted)
  best = max(shares, key=lambda name: shares[name])
  if exact := _exact(shares):
    return f'the checkpoint is that of {_either(exact)}, not of {wanted!r}; import it by ' + (
      'the one of these names that its source has' if exact[1:] else 'that name'
    )
  if shares[best] <= _ALIKE:
    unlike = f'the checkpoint is of no network that is built in; for {wanted!r} it has {mismatch}'
    return foreign(weights) or _within(weights) or _large(weights) or unlike
  alike = f'{shares[best]:.0%} of the entries'
  if best == wanted:
    return f'the checkpoint has {alike} of {wanted!r}: {mismatch}{_source(weights)}'
  return (
    f'the checkpoint is not that of {wanted!r}; it is nearest to {best!r}, with {alike}. For '
    f'{wanted!r} it has {mismatch}{_source(weights)}'
  )


def suggestion(weights: StateDict) -> str:
  """Return what a state dict is, for a user who has named no network."""
  shares = _shares(weights, '')
  best = max(shares, key=lambda name: shares[name], default='')
  if not best or shares[best] <= _ALIKE:
    unlike = f'the checkpoint is of no network that is built in: {_REMEDY}'
    return foreign(weights) or _within(weights) or _large(weights) or unlike
  exact = _exact(shares)
  return (
    f'its entries are those of --model {" or ".join(exact)}'
    if exact
    else f'nearest is --model {best}{_source(weights)}'
  )


def _within(weights: StateDict) -> str:
  """Return which network most keys of a state dict are, where others lie beside it, or ''."""
  part, inner = torch_file.largest_part(weights)
  text = foreign(inner)
  if not text:
    shares = _shares(inner, '')
    best = max(shares, key=lambda name: shares[name], default='')
    if not best or shares[best] <= _ALIKE:
      return ''
    text = f'then the checkpoint is {"that of" if _exact(shares) else "nearest to"} ' + _either(
      _exact(shares) or [best]
    )
  return f'most keys begin with {part!r}, and others do not; try --prefix {part[:-1]}: {text}'


def _exact(shares: Mapping[str, float]) -> list[str]:
  return [name for name, share in shares.items() if share == 1]


def _source(weights: StateDict) -> str:
  """Return the end of a message on a network that is near to one that is built in, or ''."""
  layout = torch_layouts.find(weights)
  return f'. Its names are those of {layout}; {_OTHERS}' if layout else ''


def _either(names: list[str]) -> str:
  return ' or '.join(map(repr, names))


def _large(weights: StateDict) -> str:
  """Return a text on a network for large images, whose names may be used here too."""
  for key, value in weights.items():
    if value.ndim == 4 and value.shape[1] == 3 and value.shape[2] >= _IMAGENET_KERNEL:
      return (
        f'the checkpoint is of a network for images of 224x224, as its {key} is '
        f'{"x".join(map(str, value.shape[2:]))}; it is none that is built in: {_REMEDY}'
      )
  return ''


def _shares(weights: StateDict, wanted: str) -> dict[str, float]:
  """Return the share of equal entries with `wanted` and similar networks, up to those that fit.

  Several may fit: timm has networks that differ in padding and epsilon alone.
  """
  entries = {(key, _essential(value.shape)) for key, value in weights.items()}
  shares = {wanted: _share(entries, weights, wanted)} if wanted else {}
  distances = _similar(weights, wanted)
  for _, names in itertools.groupby(distances, key=lambda name: distances[name]):
    shares |= {name: _share(entries, weights, name) for name in names}
    if _exact(shares):
      break
  return shares


def _similar(weights: StateDict, wanted: str) -> dict[str, float]:
  """Return the networks whose names and depth allow that the weights are theirs, by distance."""
  depth = 1 + sum(value.ndim == 4 and value.shape[2:] != (1, 1) for value in weights.values())
  depths = {}
  names = models.names()
  # A state dict without a classifier may be of any of them.
  names = [name for name in names if _classifier(name) in weights] or names
  for name in names:
    if name == wanted:
      continue
    model = models.create(name, num_classes=1)
    theirs = getattr(model, 'depth', depth)
    if _known(weights, type(model).__name__) and _DEPTHS < depth / theirs < 1 / _DEPTHS:
      depths[name] = abs(depth - theirs)
  return dict(sorted(depths.items(), key=lambda item: item[1]))


def _known(weights: StateDict, family: str) -> bool:
  return sum(torch_names.is_key(family, key) for key in weights) > _ALIKE * len(weights)


def _share(entries: set[Any], weights: StateDict, name: str) -> float:
  """Return the share of entries, by name and shape, that the weights and a network have."""
  model, variables = expected(name, num_classes(weights, name))
  family = type(model).__name__
  theirs = {
    (torch_names.key(family, path), _essential(_to_torch(leaf.shape)))
    for path, leaf in variables.items()
  }
  return len(entries & theirs) / len(entries | theirs)


@functools.cache
def _classifier(name: str) -> str:
  family = type(models.create(name, num_classes=1)).__name__
  return torch_names.key(family, ('params', 'classifier', 'linear', 'kernel'))


def _to_torch(shape: tuple[int, ...]) -> tuple[int, ...]:
  axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), range(len(shape)))
  return tuple(shape[axis] for axis in axes)


def _essential(shape: tuple[int, ...]) -> tuple[int, ...]:
  """Return a shape without the spatial axes of a 1x1 kernel, as a classifier may be one."""
  return shape[:2] if shape[2:] == (1, 1) else shape
