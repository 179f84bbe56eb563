"""Find the entries that a package's files offer, so that adding an entry means adding a file."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core.errors import unknown_name


@functools.cache
def discover(package: str, table: str) -> Mapping[str, Any]:
  """Merge the dictionaries called `table` of all modules in `package`.

  Args:
    package: full name of a package, e.g. 'pidkd_jax.methods'.
    table: name of the module-level dictionary, e.g. 'METHODS'.

  Returns:
    {name: entry}, sorted by name.

  Raises:
    ValueError: two files offer the same name.

  Example:
    >>> 'pidkd' in discover('pidkd_jax.methods', 'METHODS')
    True
  """
  entries = {}
  for info in pkgutil.iter_modules(_path(package)):
    module = importlib.import_module(f'{package}.{info.name}')
    for name, entry in getattr(module, table, {}).items():
      if name in entries:
        raise ValueError(f'{package}: two files offer {name!r}')
      entries[name] = entry
  return dict(sorted(entries.items()))


def module_of(package: str, table: str, name: str) -> str:
  """Return the full name of the module that offers an entry of `discover`."""
  names = (f'{package}.{info.name}' for info in pkgutil.iter_modules(_path(package)))
  return next(
    module for module in names if name in getattr(importlib.import_module(module), table, {})
  )


def find(kind: str, package: str, table: str, name: str, command: str = '') -> Any:
  """Return the entry called `name`.

  Args:
    kind: of the entries, for the message.
    package: as in `discover`.
    table: as in `discover`.
    name: of the entry.
    command: that lists all names, as in `unknown_name`.

  Raises:
    UserError: there is none; the message has the nearest name, and those that exist.
  """
  entries = discover(package, table)
  if name not in entries:
    raise unknown_name(kind, name, entries, command)
  return entries[name]


def _path(package: str) -> list[str]:
  return list(importlib.import_module(package).__path__)
