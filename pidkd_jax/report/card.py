"""Model cards of a run folder, checked for the entries that a report needs."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pidkd_jax.core.errors import UserError

Card = Mapping[str, Any]


def read(path: pathlib.Path, required: Sequence[str] = ()) -> Card:
  """Read a JSON object.

  Args:
    path: the file.
    required: entries that must be there, each as dotted keys ('training.seed').

  Raises:
    UserError: The file holds no JSON object, or an entry is missing.
  """
  try:
    card = json.loads(path.read_text())
    if not isinstance(card, dict):
      raise ValueError('it holds no JSON object')
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; copy the run again') from error
  for name in required:
    entry = card
    for key in name.split('.'):
      if not isinstance(entry, dict) or key not in entry:
        raise UserError(
          f'{str(path)!r} lacks {name!r}: it is not from a run of this package; name another folder'
        )
      entry = entry[key]
  return card
