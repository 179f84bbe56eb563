"""Finds what a package's files offer, so that adding one is adding a file."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from pidkd_jax.core.errors import unknown_name


@functools.cache
def discover(package: str, table: str) -> Mapping[str, Any]:
  """Merges the dictionaries called `table` of every module in `package`.

  Args:
    package: full name of a package, e.g. 'pidkd_jax.methods'.
    table: name of the module-level dictionary, e.g. 'METHODS'.

  Returns:
    {name: entry}, sorted by name.

  Raises:
    ValueError: if two files offer the same name.
  """
  found = {}
  for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
    module = importlib.import_module(f'{package}.{info.name}')
    for name, entry in getattr(module, table, {}).items():
      if name in found:
        raise ValueError(f'{package}: two files offer {name!r}')
      found[name] = entry
  return dict(sorted(found.items()))


def find(kind: str, package: str, table: str, name: str) -> Any:
  """The entry called `name`; raises UserError with the nearest name if there is none."""
  entries = discover(package, table)
  if name not in entries:
    raise unknown_name(kind, name, entries)
  return entries[name]
