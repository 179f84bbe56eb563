"""JSON files of a run folder, checked for the entries that a report needs."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.report import entries
from pidkd_jax.report.entries import Kind

Card = Mapping[str, Any]

# Students may have no teacher.
_NULLABLE = ('training.teacher',)


def read(
  path: pathlib.Path, required: Sequence[str] = (), kinds: Mapping[str, Kind] | None = None
) -> Card:
  """Read a JSON object.

  Args:
    path: the file.
    required: entries that must be there, each as dotted keys ('training.seed'). Only
      'training.teacher' may be null.
    kinds: types and ranges of entries (see `entries.check`), or None.

  Raises:
    UserError: The file cannot be read or holds no JSON object, an entry is missing, or a value is
      of another type or out of its range.
  """
  try:
    card = regular_file.read_object(path)
  except OSError as error:
    raise UserError(
      f'{str(path)!r} cannot be read: {error.strerror or error}; mend that, or copy the run again'
    ) from error
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; copy the run again') from error
  require(path, card, required)
  entries.check(path, card, kinds or {})
  return card


def require(path: pathlib.Path, card: Card, names: Sequence[str]) -> None:
  """Raise UserError unless a file has these entries, each given as dotted keys."""
  for name in names:
    entry = card
    for key in name.split('.'):
      if not isinstance(entry, dict) or key not in entry:
        raise UserError(
          f'{str(path)!r} lacks {name!r}: it is not from a run of this package; name another folder'
        )
      entry = entry[key]
    if entry is None and name not in _NULLABLE:
      raise UserError(f'{str(path)!r} is damaged: {name} is null; copy the run again')
