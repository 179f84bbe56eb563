"""Public names of a package that are imported when they are used (PEP 562)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pidkd_jax.core import extras


def attach(
  package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
  """Return a package's `__getattr__` and `__dir__`.

  Args:
    package: its name.
    places: {public name: 'module:name', 'module:function()' for what a function returns, or
      'module' where the name is a module}. A module that
      needs a missing optional package raises UserError.

  Example:
    >>> get, _ = attach('pidkd_jax.core', {'UserError': 'pidkd_jax.core.errors:UserError'})
    >>> get('UserError').__name__
    'UserError'
  """

  def get(name: str) -> Any:
    if name not in places:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    module, _, attribute = places[name].partition(':')
    with extras.needed(f'{package}.{name}'):
      value = importlib.import_module(module)
    if attribute.endswith('()'):
      return getattr(value, attribute[:-2])()
    return getattr(value, attribute) if attribute else value

  def names() -> list[str]:
    return sorted({*vars(sys.modules[package]), *places})

  return get, names
