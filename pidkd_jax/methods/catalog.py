"""The methods by name, and their hyper-parameters."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from pidkd_jax.core import own_code, registry
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.core.value import plain
from pidkd_jax.methods import base, own_method

PACKAGE, TABLE = 'pidkd_jax.methods', 'METHODS'

# {name: class} of the user's own methods that `method` was given.
_OWN: dict[str, type[base.Method]] = {}


@dataclasses.dataclass(frozen=True)
class MethodSpec:
  """The choice of a method, checked when it is made (`method`).

  Attributes:
    name: one of `names()`, or 'module:Class' of a user's own method.
    hyperparameters: those that differ from the method's defaults, by name; Python's own values.
    kind: the class that had this name when the choice was made.

  Raises:
    UserError: no such method or hyper-parameter, or a value of another type or not finite. The
      message names the nearest name.
  """

  name: str
  hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  kind: type[base.Method] = dataclasses.field(init=False, repr=False, compare=False)

  def __post_init__(self):
    object.__setattr__(self, 'kind', class_of(self.name)[0])
    known, chosen = defaults(self.name), {}
    for key, value in self.hyperparameters.items():
      if key not in known:
        raise unknown_name(f'hyper-parameter of {self.name}', key, known)
      needed = f'{type(known[key]).__name__} is needed'
      chosen[key] = plain(known[key], f'{key} of {self.name}', value, needed)
    object.__setattr__(self, 'hyperparameters', chosen)


def names() -> list[str]:
  """Return the names of all methods, sorted; 'module:Class' names one of the user's own."""
  return list(registry.discover(PACKAGE, TABLE))


def defaults(name: str) -> dict[str, Any]:
  """Return the hyper-parameters of a method with their default values.

  Args:
    name: one of `names()`, or 'module:Class' for a method that the user wrote. Such a name imports
      the module, so it must come from the user.

  Raises:
    UserError: there is no such method, or the user's own cannot be imported or is no `Method`. The
      message names the nearest name.

  Example:
    >>> kd.methods.defaults('kd_1_1')
    {'weight': 1.0, 'label_weight': 1.0, 'temperature': 4.0, 'standardize': False}
  """
  kind, fixed = class_of(name)
  free = {key: field for key, field in base.hyperparameters(kind).items() if key not in fixed}
  return {key: base.default(field) for key, field in free.items()}


def method(choice: str | type[base.Method], **hyperparameters: Any) -> MethodSpec:
  """Choose a method and its hyper-parameters.

  Args:
    choice: one of `names()`, or a subclass of `Method` that you wrote, or its 'module:Class'.
    **hyperparameters: those that shall differ from the method's defaults.

  Raises:
    UserError: no such method or hyper-parameter, or a value of another type or not finite. The
      message names the nearest name.

  Example:
    >>> kd.method('pidkd', num_projectors=4)
    MethodSpec(name='pidkd', hyperparameters={'num_projectors': 4})
  """
  if isinstance(choice, type):
    own_method.check(choice.__name__, choice)
    name = f'{choice.__module__}:{choice.__qualname__}'
    _OWN[name] = choice
    choice = name
  elif choice in _OWN:
    # A name means what its module holds now. A class within a function has no other place.
    with contextlib.suppress(UserError):
      own_method.load(choice)
      del _OWN[choice]
  return MethodSpec(choice, hyperparameters)


def create(name: str, **hyperparameters: Any) -> Callable[..., base.Method]:
  """Return a method's constructor, which still takes `student`, `target` and `dataset`.

  Raises:
    UserError: as `method` does.
  """
  spec = MethodSpec(name, hyperparameters)
  kind, fixed = class_of(spec.name)
  return functools.partial(kind, **fixed, **spec.hyperparameters)


def class_of(name: str) -> tuple[type[base.Method], dict[str, Any]]:
  """Return a method's class, and the hyper-parameters that the method's name fixes.

  Raises:
    UserError: as `defaults` does.
  """
  if name in _OWN:
    return _OWN[name], {}
  if own_code.is_own(name):
    entry = own_method.load(name)
  else:
    entry = registry.find('method', PACKAGE, TABLE, name, 'pidkd methods')
  found = functools.partial(entry)  # A partial of a partial holds the innermost.
  assert isinstance(found.func, type)
  return found.func, found.keywords
