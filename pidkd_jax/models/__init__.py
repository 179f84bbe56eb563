"""The networks of the field, one family per file; each offers a dictionary MODELS."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pidkd_jax import registry
from pidkd_jax.distilled import Distilled
from pidkd_jax.errors import unknown
from pidkd_jax.model import Model


def names() -> list[str]:
  """The names that `create` knows."""
  return list(registry.discover(__name__, 'MODELS'))


def create(name: str, *, num_classes: int) -> Model:
  """The network called `name`, with a classifier over `num_classes`.

  Raises:
    UserError: no such network; says which name is nearest.
  """
  return registry.find('model', __name__, 'MODELS', name)(num_classes=num_classes)


def _families() -> Mapping[str, type[Model]]:
  made = registry.discover(__name__, 'MODELS').values()
  return {family.__name__: family for family in {partial.func for partial in made} | {Distilled}}


def describe(model: Model) -> dict[str, Any]:
  """A network as plain JSON: its family and fields, from which `build` makes it again."""
  description = {'family': type(model).__name__}
  for field in dataclasses.fields(model):
    if field.name not in ('parent', 'name'):  # Linen's own.
      value = getattr(model, field.name)
      description[field.name] = describe(value) if isinstance(value, Model) else value
  return description


def build(description: Mapping[str, Any]) -> Model:
  """The network that `describe` described; only families known here, so no file can name code.

  Raises:
    UserError: the family is unknown.
    TypeError: its fields are not those that were described.
  """
  fields = dict(description)
  families = _families()
  family = fields.pop('family', None)
  if family not in families:
    raise unknown('network family', str(family), families)
  return families[family](**{key: _field(value) for key, value in fields.items()})


def _field(value: Any) -> Any:
  if isinstance(value, Mapping):
    return build(value)
  return tuple(value) if isinstance(value, list) else value
