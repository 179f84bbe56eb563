"""Configurations: of the main job, of a study, of its cohorts and of their rows.

Files of configs/ call `default`, `study`, `cohort`, `row` and `multiples`. The fields themselves
lie in `fields`, and `check` checks them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from pidkd_jax import methods
from pidkd_jax.core import own_code
from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.experiment import fields as table
from pidkd_jax.experiment.pairs import Pair, find

_METHOD = 'pidkd'
# The groups of a cohort that its study has not.
_OF_COHORTS = ('rows', 'probe')
_STUDY = 'make them as configs/studies/capacity.py does'
_MAIN = 'make it as configs/digits.py does'
# By label, which has no point in it: it is a part of a flag's name.
_TIMES = {
  'x003': 0.03,
  'x01': 0.1,
  'x03': 0.3,
  'x1': 1.0,
  'x3': 3.0,
  'x10': 10.0,
  'x30': 30.0,
  'x100': 100.0,
}


def default(
  arg: str, pairs: Mapping[str, Pair] | None = None, methods_default: str = _METHOD
) -> ConfigDict:
  """Return the main job's configuration; a file of configs/ fills in data set and length.

  Args:
    arg: `[TEACHER-STUDENT][:][METHOD,...]`, a pair and methods. The first method is `method`. The
      others lie under `compare` and are trained beside it in the same cohort. 'module:Class' is a
      method of the user's own, and its label is Class.
    pairs: of the data set; the first is taken if none is named (`pairs.find`). Without any, the
      caller sets `student` and `teacher.model`, and no pair may be named.
    methods_default: the methods if none is named, by commas.

  Returns:
    `fields.FIELDS` with their defaults or the pair's values, and
    `method.name`, `method.*`: the method and its hyper-parameters;
    `compare.LABEL.*`: the other methods' hyper-parameters, and of the user's own the `method`.

  Raises:
    UserError: a network or a method is unknown, or a method is named twice.

  Example:
    >>> config = default('kd_1_1,scratch')
    >>> config.method.name, list(config.compare), config.total_epochs
    ('kd_1_1', ['scratch'], 240)
  """
  pair, chosen = _parse(arg, pairs or {})
  chosen = chosen or methods_default
  names = [name.strip() for name in chosen.split(',')]
  if len(set(map(_label, names))) < len(names):
    raise UserError(f'methods {arg!r}: one is named twice; give trials for several seeds of one')
  config = ConfigDict(
    {
      'method': {'name': names[0], **_hyperparameters(names[0], pair)},
      'compare': {
        _label(name): ({'method': name} if own_code.is_own(name) else {})
        | _hyperparameters(name, pair)
        for name in names[1:]
      },
      **table.defaults(table.FIELDS),
    }
  )
  if pair:
    config.student = pair.student
    config.teacher.model = pair.teacher
    config.learning_rate = pair.learning_rate
  return config


def _parse(arg: str, pairs: Mapping[str, Pair]) -> tuple[Pair | None, str]:
  """Return the pair and the methods that an argument names; '' for methods that it leaves out."""
  first, _, rest = arg.partition(':')
  named = '-' in first  # No method's name has one.
  chosen = rest if named or not first else arg
  if pairs:
    return find(pairs, first.strip()) if named else next(iter(pairs.values())), chosen
  if named:
    raise UserError(
      f'{first!r}: this config takes no pair; give --config.student and --config.teacher.model'
    )
  return None, chosen


def _label(method: str) -> str:
  """Return a method's label; the class's name is enough of a user's own method."""
  return method.rpartition(':')[2]


def _hyperparameters(method: str, pair: Pair | None) -> dict[str, Any]:
  """Return a method's defaults, at the pair's size of projectors."""
  hyperparameters = methods.defaults(method)
  if taken := hyperparameters.keys() & {field.name for field in table.ROW}:
    raise UserError(
      f'{taken.pop()!r} of {method!r} is a field of every row; give the field another name'
    )
  # A method with one projector by definition, or with another kind, keeps its own size.
  if pair and hyperparameters.keys() >= pair.size.keys():
    hyperparameters |= pair.size
  return hyperparameters


def study(arg: str, pairs: Mapping[str, Pair]) -> ConfigDict:
  """Return a study's configuration without its cohorts; a file of configs/studies/ adds them.

  Args:
    arg: 'TEACHER-STUDENT', or '' for the first pair.
    pairs: of the data set.

  Returns:
    The fields of `default` but for `method` and `compare`, and an empty group `cohorts`, for
    `cohorts.NAME`: what is trained in lock step in the folder NAME. Any field of the study may
      stand there again with the cohort's own value;
    `cohorts.NAME.rows.LABEL`: made by `row`;
    `cohorts.NAME.probe`: optional, with name, archive, verify and image_size of another data set.
      A linear classifier over each network's frozen features is judged on it afterwards.

  Raises:
    UserError: the argument is no pair.
  """
  return _replace_methods(default(arg and find(pairs, arg).name, pairs), 'cohorts')


def cohort(arg: str = '') -> ConfigDict:
  """Return one cohort's configuration: `default`'s with `rows` for `method` and `compare`.

  A row is made by `row` and assigned as `rows.LABEL`.

  Args:
    arg: what follows the config's name on the command line; it has to be empty.

  Raises:
    UserError: it is not.
  """
  if arg:
    raise UserError(f'{arg!r}: this config takes neither pair nor methods; leave it out')
  return _replace_methods(default(_METHOD), 'rows')


def _replace_methods(config: ConfigDict, group: str) -> ConfigDict:
  """Put an empty group in the place of the main job's methods."""
  del config.method, config.compare
  with config.unlocked():
    config[group] = ConfigDict()
  return config


def row(method: str, pair: Pair | None = None, **fields: Any) -> ConfigDict:
  """Return one row of a study's table.

  Args:
    method: its name.
    pair: whose size of projectors it takes.
    **fields: hyper-parameters of the method that differ from its defaults, and fields of
      `fields.ROW`: the network, trials and learning rate that differ from the study's, and
      `widen`, the label of another row of the cohort. The student is then widened until it deploys
      as many parameters as that row.

  Raises:
    UserError: the method is unknown.

  Example:
    >>> config = cohort()
    >>> config.rows.strong = row('fitnet', weight=200.0, trials=3)
  """
  return ConfigDict(
    {**table.defaults(table.ROW), 'method': method, **_hyperparameters(method, pair), **fields}
  )


def multiples(weights: Mapping[str, Sequence[str]]) -> dict[str, ConfigDict]:
  """Return eight rows for each method, with 0.03 to 100 times the default of its weights.

  Args:
    weights: {method: the hyper-parameters that are multiplied}. Where a method has several weights
      of its own, these are those whose ratio stays.

  Returns:
    {'METHOD_xTIMES': row}, where x003 is 0.03 times.

  Example:
    >>> multiples({'sp': ('weight',)})['sp_x01'].weight
    300.0
  """
  return {
    f'{method}_{label}': row(
      method, **{name: times * methods.defaults(method)[name] for name in names}
    )
    for method, names in weights.items()
    for label, times in _TIMES.items()
  }


def cohorts(config: ConfigDict, labels: Sequence[str] = ()) -> dict[str, ConfigDict]:
  """Return a study's cohorts by name, each with the fields that it shares with the others.

  Args:
    config: of `study`, with cohorts.
    labels: of the only rows that are wanted; () for all. A cohort without any is left out.

  Raises:
    UserError: no cohort has a row of such a label; a row is to be as large as one that `labels`
      leave out; a cohort has no rows or a field that the study has not; a cohort or a row is none;
      or the config is not a study's.
  """
  table.require(config)
  if not config.get('cohorts'):
    raise UserError('the config has no cohorts, so it is no study: run it with `pidkd train`')
  shared = config.to_dict()
  groups = shared.pop('cohorts')
  for name, group in _mapping('cohorts', groups, _STUDY).items():
    own = _mapping(f'the cohort {name}', group, _STUDY).get('rows')
    if not own:
      raise UserError(f'the cohort {name} has no rows; {_STUDY}')
    for label, row in _mapping(f'rows of the cohort {name}', own, _STUDY).items():
      _require_row(label, row)
  known = [label for group in groups.values() for label in group['rows']]
  for label in labels:
    if label not in known:
      raise unknown_name('row', label, known)
  resolved = {}
  for name, group in groups.items():
    chosen = {label: row for label, row in group['rows'].items() if not labels or label in labels}
    for label, row in chosen.items():
      if row.get('widen') in group['rows'].keys() - chosen.keys():
        raise UserError(
          f'{label} is to be as large as {row["widen"]}, which --rows leaves out; name both there'
        )
    if chosen:
      resolved[name] = _merged(name, shared, {**group, 'rows': chosen})
  return resolved


def _merged(name: str, shared: Mapping[str, Any], group: Mapping[str, Any]) -> ConfigDict:
  """Return a study's fields with a cohort's own laid over them."""
  own = {key: value for key, value in group.items() if key not in _OF_COHORTS}
  known = traverse_util.flatten_dict(shared, sep='.')
  for field in traverse_util.flatten_dict(own, sep='.'):
    if field not in known:
      raise unknown_name(f'field of the cohort {name}', field, known)
  merged = ConfigDict(shared)
  try:
    merged.update(own)
  except TypeError as error:
    raise UserError(f'the cohort {name}: {error}') from error
  merged.update(ConfigDict({key: group[key] for key in _OF_COHORTS if key in group}))
  return merged


def rows(config: ConfigDict) -> dict[str, dict[str, Any]]:
  """Return {label: {field: value}} of all that one cohort trains.

  The main job's rows are its method and the methods that are compared with it.

  Raises:
    UserError: there are none, or one is not what `row` makes.
  """
  fields = config.to_dict()
  if 'rows' in fields:
    chosen = _mapping('rows', fields['rows'], _STUDY)
    for label, values in chosen.items():
      _require_row(label, values)
  else:
    first = dict(_mapping('method', fields['method'], _MAIN))
    if not isinstance(name := first.pop('name', None), str):
      raise UserError(f'method.name is {name!r}; {_MAIN}')
    chosen = {_label(name): {'method': name, **first}}
    for label, values in _mapping('compare', fields['compare'], _MAIN, required=False).items():
      if not isinstance(values, dict):
        raise UserError(f'compare.{label} is {values!r}; {_MAIN}')
      chosen[label] = {'method': label, **values}
  return {label: {**table.defaults(table.ROW), **values} for label, values in chosen.items()}


def _mapping(name: str, value: Any, remedy: str, required: bool = True) -> dict[str, Any]:
  """Return a mapping; raise UserError where it is none, or empty if it is `required`."""
  if not isinstance(value, dict) or (required and not value):
    raise UserError(f'{name} is {value!r}; {remedy}')
  return value


def _require_row(label: str, row: Any) -> None:
  if not isinstance(row, dict) or not isinstance(row.get('method'), str):
    raise UserError(f'the row {label} is {row!r}; make it by config.row(METHOD)')
