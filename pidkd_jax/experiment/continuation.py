"""More members for a run that has begun: more trials, other methods, other rows.

Members do not depend on each other. So a run may gain some, and what it has stays as it is.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import methods
from pidkd_jax.core import regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.value import as_json
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import fields, workdir
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.experiment.saved_config import OWN_PARTS

_Saved = dict[str, Any]
# {label: its fields, with the number of its trials}.
_Rows = dict[str, dict[str, Any]]

# The fields of a configuration that say which members there are.
_MEMBERS = ('method', 'compare', 'rows', 'trials')


def compare_configs(folder: pathlib.Path, before: _Saved, now: _Saved) -> tuple[_Saved, _Saved]:
  """Check that a job has all members that it had, with the settings that they had.

  Args:
    folder: of the run, for messages.
    before: the configuration in its config.json.
    now: the configuration that the user gives.

  Returns:
    Both configurations without the fields that say which members there are, and without the
    user's own networks and methods of added rows.

  Raises:
    UserError: a member is missing or has other settings.
    ValueError: `before` is no configuration.
  """
  _compare_rows(folder, _rows_of_config(before), _rows_of_config(now))
  return _without(before, _MEMBERS), _with_known_parts(before, _without(now, _MEMBERS))


def compare_experiments(folder: pathlib.Path, before: _Saved, now: _Saved) -> tuple[_Saved, _Saved]:
  """Check as `compare_configs` does, with an experiment's fields for a configuration."""
  _compare_rows(folder, _rows_of_experiment(before), _rows_of_experiment(now))
  return _without(before, ('members',)), _with_known_parts(before, _without(now, ('members',)))


def members_of_config(folder: pathlib.Path) -> list[str]:
  """Return the names of a job's members as its folder has them; none where no job has begun."""
  path = folder / 'config.json'
  if not path.exists():
    return []
  with workdir.writing(folder, path.name):
    saved = regular_file.read_object(path)
    rows = _rows_of_config(saved)
  first = saved.get('first_trial', 0)  # Runs of older versions lack it.
  return [
    f'{label}-{first + trial}' for label, row in rows.items() for trial in range(row['trials'])
  ]


def members_of_experiment(folder: pathlib.Path) -> list[str]:
  """Return as `members_of_config` does where config.json has an experiment's fields."""
  path = folder / 'config.json'
  if not path.exists():
    return []
  with workdir.writing(folder, path.name):
    saved = _without(regular_file.read_object(path), OWN_PARTS)
    return [member.name for member in Experiment.from_json(saved).members]


def _rows_of_config(saved: _Saved) -> _Rows:
  try:
    groups = {name: saved[name] for name in ('method', 'compare', 'rows') if name in saved}
    rows = configuration.rows(ConfigDict(groups))
    trials = int(saved['trials'])
    return {label: {**row, 'trials': row.get('trials') or trials} for label, row in rows.items()}
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(f'it is no configuration: {error!r}') from error


def _rows_of_experiment(saved: _Saved) -> _Rows:
  rows: _Rows = {}
  try:
    for one in saved['members']:
      row = {name: value for name, value in one.items() if name not in ('label', 'trial')}
      trials = rows.get(one['label'], {}).get('trials', 0)
      rows[one['label']] = row | {'trials': trials + 1}
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(f'it is no experiment: {error!r}') from error
  return rows


def _without(saved: _Saved, names: tuple[str, ...]) -> _Saved:
  return {name: value for name, value in saved.items() if name not in names}


def _with_known_parts(before: _Saved, now: _Saved) -> _Saved:
  """Return a job without the descriptions of networks and methods that the folder lacks.

  They are of added rows. A run of an older version describes no network of a row, and no method.
  """
  kept = _without(now, OWN_PARTS)
  for entry in OWN_PARTS:
    described = before.get(entry)
    known = described if isinstance(described, dict) else {}
    if parts := {name: one for name, one in now.get(entry, {}).items() if name in known}:
      kept[entry] = parts
  return kept


def _compare_rows(folder: pathlib.Path, before: _Rows, now: _Rows) -> None:
  holds = f'workdir {str(folder)!r} holds a run with'
  for label, row in before.items():
    if label not in now:
      raise UserError(f'{holds} {label}; name it beside the others, or give another `workdir`')
    old, new = (as_json(one) for one in (row, now[label]))
    if old.get('method') == new.get('method'):
      # Fields that are newer than the run have their defaults.
      old = _defaults(new) | old
    for name in sorted(old.keys() | new.keys()):
      ours, theirs = old.get(name), new.get(name)
      more = name == 'trials' and row['trials'] < now[label]['trials']
      if ours != theirs and not more:
        raise UserError(
          f'{holds} {name} of {label} = {ours!r} and not {theirs!r}; give another `workdir`'
        )


def _defaults(row: Mapping[str, Any]) -> dict[str, Any]:
  known = {field.name: field.default for field in fields.ROW} | methods.defaults(row['method'])
  return {name: value for name, value in known.items() if name in row}
