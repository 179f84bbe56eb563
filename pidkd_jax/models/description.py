"""Models as plain JSON, the form in which bundles hold them.

Reading a description imports nothing: it names a family, and only known families are built.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pidkd_jax.core import own_code, registry
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.models import catalog, custom_model
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.exported import Exported

Family = type[Model]
# Classes of networks of the user's own, as he names them.
Own = Family | str | Iterable[Family | str]

# The fields that number the layers of a family, or are the number of something in each.
_LAYERS = ('depth', 'blocks_per_stage', 'layers', 'num_projectors')
# A few more than there are arrays do no harm, and the model's own checks name them better.
_MIN_LAYERS = 200


def describe(model: Model) -> dict[str, Any]:
  """Describe a model by its family and fields, from which `build` makes it again.

  Raises:
    UserError: a field of the user's own model is neither a number, a text, a model nor a tuple of
      numbers and texts.

  Example:
    >>> kd.models.describe(kd.models.create('wrn_16_2', num_classes=10))
    {'family': 'WRN', 'num_classes': 10, 'depth': 16, 'factor': 2}
  """
  description: dict[str, Any] = {'family': _label(type(model))}
  for field in _fields(model):
    value = getattr(model, field.name)
    if not _is_plain(value) and not isinstance(value, Model):
      raise UserError(
        f'{field.name} of {description["family"]} is {value!r}, which a bundle cannot hold; '
        'finite numbers, texts, tuples of these, and models can be fields of a model'
      )
    description[field.name] = describe(value) if isinstance(value, Model) else value
  return description


def build(description: Mapping[str, Any], own: Iterable[Family] = ()) -> Model:
  """Build the model that `describe` described.

  Args:
    description: the result of `describe`.
    own: the user's own classes that it may name besides this package's families.

  Raises:
    UserError: the family is unknown.
    TypeError: the fields are not those of the family.
  """
  return _build(description, {**_builtin(), **{_label(family): family for family in own}})


def check_layers(description: Mapping[str, Any], most: int) -> None:
  """Check that a description has no more layers than a bound, before a model is built by it.

  Args:
    description: the result of `describe`, perhaps altered.
    most: the bound. Layers are counted by fields of this package's families; those of the user's
      own are his.

  Raises:
    ValueError: it has more.
  """
  for name, value in description.items():
    if isinstance(value, Mapping):
      check_layers(value, most)
    elif name in _LAYERS and ':' not in str(description.get('family')):
      counts = value if isinstance(value, list | tuple) else [value]
      layers = sum(count for count in counts if isinstance(count, int | float))
      if layers > max(most, _MIN_LAYERS):
        raise ValueError(f'{name} is {value}, and there are {most} arrays')


def describe_own(names: Iterable[str], num_classes: int) -> dict[str, Any]:
  """Return {name: description} of the user's own models among names, without factors of width."""
  own = [name.partition('*')[0] for name in names if own_code.is_own(name)]
  return {name: describe(catalog.create(name, num_classes=num_classes)) for name in own}


def families(*models: Model | str) -> set[Family]:
  """Return the classes of the user's own among models, as `build` takes them.

  Args:
    *models: models, which are searched together with the models in their fields; or names. A
      name counts only if it is 'module:Class' or 'module:Class*FACTOR', and its module is imported.

  Raises:
    UserError: two of them have one name, so a bundle's card could mean either.
  """
  own = set()
  for model in models:
    if isinstance(model, Model):
      if type(model) not in _builtin().values():
        own.add(type(model))
      parts = (getattr(model, field.name) for field in _fields(model))
      own |= families(*(part for part in parts if isinstance(part, Model)))
    elif own_code.is_own(model):
      constructor = custom_model.load(model.partition('*')[0])
      is_class = isinstance(constructor, type) and issubclass(constructor, Model)
      own |= {constructor} if is_class else families(catalog.create(model, num_classes=1))
  labels = [_label(family) for family in own]
  if twice := {label for label in labels if labels.count(label) > 1}:
    raise UserError(
      f'two classes are named {twice.pop()!r}, as one was defined anew, and a bundle could hold '
      'either; give one another name, or save the older network and load it anew'
    )
  return own


def own_families(own: Own) -> set[Family]:
  """Return the classes that a user names: one or several, each itself or its 'module:Class'.

  Raises:
    UserError: one is no class of networks.
  """
  found = set()
  for one in [own] if isinstance(own, str | type) else own:
    if isinstance(one, str) and own_code.is_own(one):
      found |= families(one)
    elif isinstance(one, type) and issubclass(one, Model):
      found.add(one)
    else:
      raise UserError(f"`own` is {one!r}; give a subclass of kd.models.Model, or 'module:Class'")
  return found


def _builtin() -> Mapping[str, Family]:
  """Return this package's families by the names of their classes."""
  constructors = registry.discover(__package__, 'MODELS').values()
  families = (*(each.func for each in constructors), Distilled, Exported)
  return {family.__name__: family for family in families}


def _label(family: Family) -> str:
  """Return a family's name in a description: 'Class', or 'module:Class' of the user's own."""
  if _builtin().get(family.__name__) is family:
    return family.__name__
  return f'{family.__module__}:{family.__qualname__}'


def _fields(model: Model) -> list[dataclasses.Field]:
  """Return the fields of a model without those that every Linen module has."""
  return [field for field in dataclasses.fields(model) if field.name not in ('parent', 'name')]


def _is_plain(value: Any) -> bool:
  if isinstance(value, tuple):
    return all(map(_is_plain, value))
  if isinstance(value, float):
    return math.isfinite(value)  # JSON has no other.
  return value is None or isinstance(value, bool | int | str)


def _build(description: Mapping[str, Any], known: Mapping[str, Family]) -> Model:
  fields = dict(description)
  family = str(fields.pop('family', None))
  if family not in known and ':' in family:
    raise UserError(
      f'it needs the model {family!r}, which is not of this package and is imported only if you '
      f'name it yourself by `own={family}`'
    )
  if family not in known:
    raise unknown_name('model family', family, known)
  return known[family](**{name: _field(value, known) for name, value in fields.items()})


def _field(value: Any, known: Mapping[str, Family]) -> Any:
  if isinstance(value, Mapping):
    return _build(value, known)
  return tuple(value) if isinstance(value, list) else value
