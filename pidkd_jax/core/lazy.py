"""Public names of a package that are imported when they are used (PEP 562)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pidkd_jax.core import extras
from pidkd_jax.core.errors import UserError


class MissingPackage(UserError, AttributeError):
  """A public name needs an optional package that is not installed.

  It is an AttributeError, too, so `hasattr`, `help` and `inspect.getmembers` pass over the name.

  Example:
    >>> getattr(kd, 'train', None) is None  # Without the extra `train`.  # doctest: +SKIP
    True
  """


def attach(
  package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
  """Return a package's `__getattr__` and `__dir__`.

  Args:
    package: its name.
    places: {public name: 'module:name', 'module:function()' for what a function returns, or
      'module' where the name is a module}.

  `__getattr__` raises MissingPackage where a module needs a missing optional package. Within
  `from package import name` that is a bare UserError, as the import statement hides
  AttributeErrors.

  Example:
    >>> get, _ = attach('pidkd_jax.core', {'UserError': 'pidkd_jax.core.errors:UserError'})
    >>> get('UserError').__name__
    'UserError'
  """

  def get(name: str) -> Any:
    if name not in places:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    module, _, attribute = places[name].partition(':')
    try:
      with extras.needed(f'{package}.{name}'):
        value = importlib.import_module(module)
    except UserError as error:
      # The caller is importlib's function for the names of an import statement.
      if sys._getframe(1).f_code.co_name == '_handle_fromlist':
        raise
      raise MissingPackage(str(error)) from error
    if attribute.endswith('()'):
      return getattr(value, attribute[:-2])()
    return getattr(value, attribute) if attribute else value

  def names() -> list[str]:
    return sorted({*vars(sys.modules[package]), *places})

  return get, names
