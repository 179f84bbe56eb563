"""Names with their meanings in two or more columns, for help and lists."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pidkd_jax import methods
from pidkd_jax.core.errors import printable

WIDTH = 80
_INDENT, _GAP = '  ', '  '
# Columns of a cell before the last one. After a longer one the last stands in the next line.
_MOST = 24
# Columns that the last cell has at least.
_LEAST = 28


def of(rows: Iterable[Sequence[str]], width: int = WIDTH) -> str:
  """Return rows as aligned lines.

  Args:
    rows: of equally many cells. Only the last one wraps.
    width: of the lines.

  Example:
    >>> print(of([('momentum', '0.9', 'of SGD'), ('seed', '0', 'of the weights')]))
      momentum  0.9  of SGD
      seed      0    of the weights
  """
  rows = [[printable(cell) for cell in row] for row in rows]
  sizes = [
    max((len(cell) for cell in column if len(cell) <= _MOST), default=0)
    for column in list(zip(*rows, strict=True))[:-1]
  ]
  margin = min(len(_INDENT) + sum(sizes) + len(_GAP) * len(sizes), width - _LEAST)
  lines = []
  for *cells, last in rows:
    start = _INDENT + ''.join(
      cell.ljust(size) + _GAP for cell, size in zip(cells, sizes, strict=True)
    )
    if len(start) > margin or not last:
      lines.append(start.rstrip())
      start = ' ' * margin
    lines += textwrap.wrap(
      last,
      width,
      initial_indent=start,
      subsequent_indent=' ' * margin,
      break_long_words=False,
      break_on_hyphens=False,
    )
  return '\n'.join(lines)


def of_method(name: str, values: Mapping[str, Any]) -> str:
  """Return a method's hyper-parameters with type, value and meaning as aligned lines.

  Args:
    name: of the method.
    values: of its hyper-parameters, by name.
  """
  if not values:
    return '  It has no hyper-parameters.'
  meanings = methods.meanings(name)
  return of(
    (field, type(value).__name__, repr(value), meanings.get(field, ''))
    for field, value in values.items()
  )
