"""The networks of the field, one family per file; each offers a dictionary MODELS.

A network of the user's own is named 'module:Class' and lies in a module of his; only names that
he gives himself are imported, never one that a file holds.
"""

import contextlib
import dataclasses
import importlib
import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pidkd_jax.core import registry
from pidkd_jax.core.errors import UserError, describe_error, unknown_name
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled

Family = type[Model]


def names() -> list[str]:
  """The names that `create` knows; it also takes 'module:Class'."""
  return list(registry.discover(__name__, 'MODELS'))


def create(name: str, *, num_classes: int) -> Model:
  """The network called `name`, with a classifier over `num_classes`.

  Args:
    name: one of `names()`, or 'module:Class' for one that the user wrote. That module is
      imported, so such a name must come from the user himself. 'NAME*1.5' is the same network
      with one and a half times the channels (`Model.widened`).
    num_classes: K.

  Raises:
    UserError: no such network (says which name is nearest); the module cannot be imported, lacks
      the class, or has another thing under that name.
  """
  narrower, times, factor = name.rpartition('*')
  if times:
    return create(narrower, num_classes=num_classes).widened(_number(narrower, factor))
  if ':' not in name:
    return registry.find('model', __name__, 'MODELS', name)(num_classes=num_classes)
  make = _import(name)
  try:
    model = make(num_classes=num_classes)
  except Exception as error:  # It is the user's.
    raise UserError(
      f'{name!r} cannot be made with num_classes={num_classes} alone ({error}); give its other '
      'fields defaults, or name a function that fills them in'
    ) from error
  if not isinstance(model, Model):
    raise UserError(
      f'{name!r} makes a {type(model).__name__}; a network is a subclass of pidkd_jax.models.base.Model'
    )
  family = type(model)
  stages = family.stages is not Model.stages or family.trunk is not Model.trunk
  if not stages or family.classify is Model.classify:
    raise UserError(f'{name!r} lacks {"classify" if stages else "stages"}, which a network defines')
  return model


def _number(name: str, factor: str) -> float:
  try:
    value = float(factor)
  except ValueError:
    value = math.nan
  if not 0 < value < math.inf:
    raise UserError(f"model '{name}*{factor}': {factor!r} is no factor; write e.g. {name}*1.5")
  return value


def _import(name: str) -> Callable[..., Model]:
  if not re.fullmatch(r'\w+(\.\w+)*:\w+', name):
    raise UserError(f"model {name!r}: a network of one's own is named package.module:Class")
  module_name, _, attribute = name.partition(':')
  try:
    module = importlib.import_module(module_name)
  except ModuleNotFoundError as error:
    remedy = 'start in the folder that holds it, or put that folder into PYTHONPATH'
    if not f'{module_name}.'.startswith(f'{error.name}.'):
      remedy = f'{module_name} needs it; install it'
    raise UserError(f'model {name!r}: there is no module {error.name!r}; {remedy}') from error
  except Exception as error:  # It is the user's.
    what = describe_error(error, _file(module_name))
    raise UserError(f'model {name!r}: its module cannot be imported: {what}; mend it') from error
  found = getattr(module, attribute, None)
  if found is None:
    raise unknown_name(f'model of {module_name!r}', attribute, _offered(module))
  if not callable(found):
    raise UserError(f'{name!r} is a {type(found).__name__}; a class or a function is needed')
  return found


def _file(module_name: str) -> str:
  """Where a module lies that cannot be imported, '' where a package above it cannot either."""
  try:
    return importlib.util.find_spec(module_name).origin or ''
  except Exception:
    return ''


def _offered(module) -> list[str]:
  return [
    name
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Model) and value is not Model
  ]


@contextlib.contextmanager
def blamed(*names: str) -> Iterator[None]:
  """Says in one line what fails in its context where one of the networks is the user's own."""
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    own = [name for name in names if ':' in name]
    if not own:
      raise
    told = [describe_error(error, _file(name.partition(':')[0])) for name in own]
    # The one whose text the error passed says a line, which makes it longer.
    raise UserError(f'{" or ".join(own)} fails: {max(told, key=len)}; mend it') from error


def families(*given: Model | str) -> set[Family]:
  """The classes of networks that are not this package's, for `build`.

  Args:
    *given: networks, whose parts are looked through too, or names; of names only 'module:Class'
      counts, and its module is imported.
  """
  found = set()
  for one in given:
    if isinstance(one, str):
      if ':' in one:
        made = _import(one)
        is_class = isinstance(made, type) and issubclass(made, Model)
        found |= {made} if is_class else families(create(one, num_classes=1))
      continue
    if type(one) not in _families().values():
      found.add(type(one))
    parts = (getattr(one, field.name) for field in _described(one))
    found |= families(*(part for part in parts if isinstance(part, Model)))
  return found


def _families() -> Mapping[str, Family]:
  made = registry.discover(__name__, 'MODELS').values()
  return {family.__name__: family for family in {partial.func for partial in made} | {Distilled}}


def _label(family: Family) -> str:
  """What a description calls a family: its class's name, with the module if it is not ours."""
  if _families().get(family.__name__) is family:
    return family.__name__
  return f'{family.__module__}:{family.__qualname__}'


def _described(model: Model) -> list[dataclasses.Field]:
  """The fields of a network without Linen's own."""
  return [field for field in dataclasses.fields(model) if field.name not in ('parent', 'name')]


def describe(model: Model) -> dict[str, Any]:
  """A network as plain JSON: its family and fields, from which `build` makes it again.

  Raises:
    UserError: a field (of a user's own network) is neither a number, a text, a network nor a tuple
      of such.
  """
  description = {'family': _label(type(model))}
  for field in _described(model):
    value = getattr(model, field.name)
    if not _plain(value) and not isinstance(value, Model):
      raise UserError(
        f'{field.name} of {description["family"]} is {value!r}, which a bundle cannot hold; '
        'finite numbers, texts, tuples of these, and networks can be fields of a network'
      )
    description[field.name] = describe(value) if isinstance(value, Model) else value
  return description


def _plain(value: Any) -> bool:
  if isinstance(value, tuple):
    return all(map(_plain, value))
  if isinstance(value, float):
    return math.isfinite(value)  # JSON has no other.
  return value is None or isinstance(value, bool | int | str)


def build(description: Mapping[str, Any], own: Iterable[Family] = ()) -> Model:
  """The network that `describe` described; only families known here, so no file can name code.

  Args:
    description: as `describe` gave it.
    own: classes of the user's own that it may name.

  Raises:
    UserError: the family is unknown.
    TypeError: its fields are not those that were described.
  """
  return _build(description, {**_families(), **{_label(family): family for family in own}})


def _build(description: Mapping[str, Any], known: Mapping[str, Family]) -> Model:
  fields = dict(description)
  family = str(fields.pop('family', None))
  if family not in known and ':' in family:
    raise UserError(
      f'it needs the network {family!r}, which is not of this package and is imported only if you '
      'name it yourself: by --config.student or --config.teacher.model for the main job, '
      f'elsewhere by --own={family}'
    )
  if family not in known:
    raise unknown_name('network family', family, known)
  return known[family](**{key: _field(value, known) for key, value in fields.items()})


def _field(value: Any, known: Mapping[str, Family]) -> Any:
  if isinstance(value, Mapping):
    return _build(value, known)
  return tuple(value) if isinstance(value, list) else value
