"""What a run writes down of the user's own networks and methods."""

import hashlib
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pidkd_jax import models
from pidkd_jax.core import own_code
from pidkd_jax.experiment.saved_config import OWN_PARTS
from pidkd_jax.methods import base, catalog
from pidkd_jax.models import description
from pidkd_jax.training.member import Member

# Whose classes are no code of the user's.
_PACKAGES = ('pidkd_jax', 'flax', 'builtins')


def describe(
  students: Iterable[str], methods: Mapping[str, tuple[str, Mapping[str, Any]]], num_classes: int
) -> dict[str, Any]:
  """Return {'networks': {name: fields}, 'methods': {label: numbers}}, each if there are any.

  A default in the user's class may change under the same name, so it is part of what a run is.

  Args:
    students: names of networks.
    methods: {label: (name of its method, the hyper-parameters that are given)}.
    num_classes: of the data.
  """
  networks = description.describe_own(dict.fromkeys(students), num_classes)
  numbers = {
    label: _numbers(name, given)
    for label, (name, given) in methods.items()
    if own_code.is_own(name)
  }
  return {entry: one for entry, one in zip(OWN_PARTS, (networks, numbers), strict=True) if one}


def _numbers(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
  """Return the hyper-parameters of a method by name: given, fixed by its name, or default."""
  kind, fixed = catalog.class_of(name)
  defaults = {key: base.default(field) for key, field in base.hyperparameters(kind).items()}
  return {key: value for key, value in {**defaults, **fixed, **given}.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
  return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))


def digests(members: Iterable[Member]) -> dict[str, str]:
  """Return {name: digest of the source} of the user's own networks and methods.

  Source is that of the functions of a class and of its bases. What they call is not looked at.
  """
  found = {}
  for member in members:
    if own_code.is_own(member.student):
      found[member.student] = _digest(models.families(member.student))
    if own_code.is_own(member.method):
      found[member.method] = _digest([catalog.class_of(member.method)[0]])
  return found


def _digest(classes: Iterable[type]) -> str:
  texts = sorted(text for kind in classes for one in kind.__mro__ for text in _sources(one))
  return hashlib.sha256('\n'.join(texts).encode()).hexdigest()[:12]


def _sources(kind: type) -> Iterable[str]:
  if kind.__module__.partition('.')[0] in _PACKAGES:
    return
  for value in vars(kind).values():
    if callable(function := getattr(value, '__func__', value)):
      try:
        yield inspect.getsource(function)
      except (OSError, TypeError):
        continue  # It was generated, or typed into an interpreter.
