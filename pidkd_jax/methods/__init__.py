"""Distillation methods, one per file; each offers a dictionary METHODS."""

import functools
from collections.abc import Callable
from typing import Any

from pidkd_jax.core import registry
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.methods.base import Method, hyperparameters


def names() -> list[str]:
  """The names that `create` knows."""
  return list(registry.discover(__name__, 'METHODS'))


def _find(name: str) -> functools.partial:
  return functools.partial(registry.find('method', __name__, 'METHODS', name))


def defaults(name: str) -> dict[str, Any]:
  """The hyper-parameters of a method with their default values.

  Raises:
    UserError: no such method; says which name is nearest.
  """
  entry = _find(name)
  fields = hyperparameters(entry.func)
  return {key: field.default for key, field in fields.items() if key not in entry.keywords}


def create(name: str, **hyperparameters_: Any) -> Callable[..., Method]:
  """A method with its hyper-parameters set, still to be given student, target and dataset.

  Raises:
    UserError: no such method or hyper-parameter, or a value of another type.
  """
  known = defaults(name)
  for key, value in hyperparameters_.items():
    if key not in known:
      raise unknown_name(f'hyper-parameter of {name}', key, known)
    kind = type(known[key])
    if not isinstance(value, (int, float) if kind is float else kind):
      raise UserError(f'{key} of {name} is {value!r}; {kind.__name__} is needed')
  return functools.partial(_find(name), **hyperparameters_)
