"""A run's config.json as a configuration: `--config DIR/config.json` repeats the run."""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import fields

# Groups whose fields differ between runs: methods, rows, the data set of a probe.
_GROUPS = ('method', 'compare', 'rows', 'probe')

# The entries beside the fields: descriptions of the user's own networks and methods.
OWN_PARTS = ('networks', 'methods')


def get_config(path: str) -> ConfigDict:
  """Return the configuration that a run of this or an older version wrote.

  Fields that are newer than the run have their defaults.

  Args:
    path: of the config.json.

  Raises:
    UserError: the file is not a run's configuration, or has a field that this version lacks.
  """
  saved = _read(path)
  for entry in OWN_PARTS:  # A new run describes them anew.
    saved.pop(entry, None)
  groups = {name: saved.pop(name) for name in _GROUPS if name in saved}
  loaded = ConfigDict(fields.defaults(fields.FIELDS)).lock()
  try:
    loaded.update(saved)
  except (KeyError, AttributeError, TypeError, ValueError) as error:
    raise UserError(
      f'{path!r} has a field that this version does not know ({_line(error)}); take the version '
      'that made it (versions.json beside it), or a file of configs/'
    ) from error
  with loaded.unlocked():
    for name, group in groups.items():
      loaded[name] = ConfigDict(group)
  return loaded


def _read(path: str) -> dict[str, Any]:
  try:
    saved = regular_file.read_object(pathlib.Path(path))
  except OSError as error:
    raise UserError(
      f"{path!r} cannot be read: {error.strerror}; name a run's config.json"
    ) from error
  except ValueError as error:
    raise UserError(f'{path!r} is damaged: {_line(error)}; take a file of configs/') from error
  if not {'student', 'teacher', 'data'} <= saved.keys():
    raise UserError(f'{path!r} is not the config.json of a run; name one, or a file of configs/')
  return {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}


def _line(error: Exception) -> str:
  return ' '.join(str(error).split())[:200]
