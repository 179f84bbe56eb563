"""A run's own config.json as a configuration: `--config DIR/config.json` repeats the run."""

import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config

# Groups whose fields are the run's own: which methods, rows, or other dataset it has.
_OWN = ('method', 'compare', 'rows', 'probe')


def get_config(path: str) -> ConfigDict:
  """The configuration that a run wrote down; what is newer than the run has its default.

  Args:
    path: of the config.json.

  Raises:
    UserError: it is no run's configuration, or has a field that is not known here.
  """
  saved = _read(path)
  saved.pop('networks', None)  # What the user's own networks were like: `main` looks anew.
  own = {name: saved.pop(name) for name in _OWN if name in saved}
  made = config.default('')
  del made.method, made.compare
  made.lock()
  try:
    made.update(saved)
  except (KeyError, AttributeError, TypeError, ValueError) as error:
    raise UserError(
      f'{path!r} has a field that this version does not know ({_line(error)}); take the version '
      'that made it (versions.json beside it), or a file of configs/'
    ) from error
  with made.unlocked():
    for name, group in own.items():
      made[name] = ConfigDict(group)
  return made


def _read(path: str) -> dict[str, Any]:
  try:
    saved = json.loads(pathlib.Path(path).read_text())
  except OSError as error:
    raise UserError(
      f"{path!r} cannot be read: {error.strerror}; name a run's config.json"
    ) from error
  except ValueError as error:
    raise UserError(f'{path!r} is damaged: {_line(error)}; take a file of configs/') from error
  if not isinstance(saved, dict) or not {'student', 'teacher', 'data'} <= saved.keys():
    raise UserError(f'{path!r} is not the config.json of a run; name one, or a file of configs/')
  return {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}


def _line(error: Exception) -> str:
  return ' '.join(str(error).split())[:200]
