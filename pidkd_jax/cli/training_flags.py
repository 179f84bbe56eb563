"""The flags of the commands that train: --config, --workdir, --show, and those of the processes.

`--config` takes a file, the name of a config that lies in the package, or a run's config.json; an
argument of its `get_config` may follow a colon.
"""

import contextlib
import os
import pathlib
import runpy
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from pidkd_jax.cli import config_files
from pidkd_jax.core import own_code
from pidkd_jax.core.errors import UserError, describe_error, unknown_name

_SAVED = pathlib.Path(__file__).resolve().parents[1] / 'experiment' / 'saved_config.py'
# The fields that may name code by 'module:Class', by the last part of their names: networks,
# methods (`method.name`, a row's `method`) and data sets (`data.name`).
_CODE = ('student', 'model', 'method', 'name')
_REMEDY = 'name a file such as configs/digits.py'


def define(config_help: str) -> None:
  """Define the flags.

  Args:
    config_help: which configs the command takes.
  """
  config_flags.DEFINE_config_file('config', None, config_help)
  flags.DEFINE_multi_string(
    'own', [], 'Your own code in a config.json, package.module:Class; repeatable.'
  )
  flags.DEFINE_string('workdir', '', "The run's folder; the same command resumes the run in it.")
  flags.DEFINE_bool('verbose', False, 'Print all that log.txt in the workdir has.')
  flags.DEFINE_bool('show', False, 'Print all fields, where each comes from, and end.')
  flags.DEFINE_bool('dry_run', False, 'Say what it would take; train and write nothing.')
  flags.DEFINE_bool(
    'distributed', False, 'Join the other processes of a TPU pod, of Slurm or of MPI.'
  )
  flags.DEFINE_string('coordinator', '', 'HOST:PORT of process 0, where JAX cannot tell it.')
  flags.DEFINE_integer('num_processes', 0, 'Number of processes, with --coordinator.')
  flags.DEFINE_integer('process_id', -1, 'Number of this process, from 0, with --coordinator.')


def resolve(arguments: Sequence[str]) -> list[str]:
  """Return the command line with a file in the place of a name after --config.

  A run's config.json becomes an argument of `saved_config.get_config`.

  Raises:
    UserError: there is neither a config of that name nor such a file.
  """
  found: list[str] = []
  for argument in arguments:
    flag, equals, value = argument.partition('=')
    if flag in ('--config', '-config') and equals:
      argument = f'{flag}={_file(value)}'
    elif found and found[-1] in ('--config', '-config'):
      argument = _file(argument)
    found.append(argument)
  return found


def _file(value: str) -> str:
  """Return FILE[:ARGUMENT] for a value of --config."""
  name, colon, argument = value.partition(':')
  if value.endswith('.json'):
    return f'{_SAVED}:{value}'
  known = config_files.names()
  short = {key.rpartition('/')[2]: path for key, path in known.items()}
  if path := known.get(name) or short.get(name):
    return f'{path}{colon}{argument}'
  if name.endswith('.py') or os.path.exists(name):
    return value
  raise unknown_name('config', name, known, 'pidkd --help')


def file(arguments: Sequence[str]) -> str:
  """Return the file that --config names in a resolved command line, or ''."""
  return value(arguments).partition(':')[0]


def argument(arguments: Sequence[str]) -> str:
  """Return what follows the file that --config names in a resolved command line, or ''."""
  return value(arguments).partition(':')[2]


def value(arguments: Sequence[str]) -> str:
  """Return the value of --config, or ''; of several the last, as absl takes it."""
  last = ''
  for given, following in zip(arguments, [*arguments[1:], ''], strict=True):
    flag, equals, found = given.partition('=')
    if flag in ('--config', '-config'):
      last = found if equals else following
  return last


def explain(config: str, error: Exception) -> str:
  """Return what is wrong with --config, or with a field of it, in one line.

  Args:
    config: its file.
    error: what reading it raised.
  """
  if any(frame.filename == config for frame in traceback.extract_tb(error.__traceback__)):
    return f'--config {config} fails: {describe_error(error, config)}; mend it'
  if isinstance(error, SyntaxError):
    return f'--config {config} is not Python: {error}; {_REMEDY}'
  # ml_collections tells a long story, or wraps the KeyError that has the text.
  told = getattr(error.args[0], 'args', error.args)[0] if error.args else ''
  if "no attribute 'get_config'" in str(told):
    return f'--config {config} defines no get_config; {_REMEDY}'
  if isinstance(error, AttributeError | KeyError):
    return f'no such field in --config: {told}'
  return f'--config: {str(error).strip().splitlines()[-1].rpartition("to load: ")[2]}'


def require(config: str) -> None:
  """Check that --config gave a configuration.

  Raises:
    UserError: the flag is not there, its file returns nothing, a run's config.json names code
      that the command line does not name, or the command line changes a method.
  """
  if flags.FLAGS['config'].value is not None:
    _require_same_methods()
    if config and pathlib.Path(config).resolve() == _SAVED:
      _require_no_foreign_code(flags.FLAGS['config'].value)
    return
  if config:
    raise UserError(f'--config {config}: its get_config returns nothing; return a ConfigDict')
  raise UserError(f'no --config was given; name a file, or one of: {_names()}')


def _names() -> str:
  """Return names of configs as text, those of studies without their folder."""
  return ', '.join(name.rpartition('/')[2] for name in config_files.names())


def _require_no_foreign_code(config: Mapping[str, Any]) -> None:
  """Raise UserError where a run's config.json names a module that the command line does not name.

  The file may come from anyone, and an import runs code.
  """
  named = {
    *flags.FLAGS.own,
    *map(str, config_flags.get_override_values(_flag()).values()),
  }
  for name, value in code(config):
    found = value.partition('*')[0]  # 'module:Class*1.5' is a network that is widened.
    if not {found, value} & named:
      raise UserError(
        f"{name} of the run's config.json is {value!r}, code that is imported only if you name it "
        f'yourself, by --own={found}'
      )


def _require_same_methods() -> None:
  """Raise UserError where the command line changes a method, whose fields would stay."""
  for name, value in config_flags.get_override_values(_flag()).items():
    if name != 'method.name' and not name.endswith('.method'):
      continue
    before = flags.FLAGS[f'config.{name}'].default
    if value != before:
      # Neither a config of rows nor a run's config.json takes a method.
      file = pathlib.Path(config_flags.get_config_filename(_flag()).partition(':')[0])
      takes_method = name == 'method.name' and file.resolve() != _SAVED
      by_config = f'choose a method by --config CONFIG:{value}, or ' if takes_method else ''
      raise UserError(
        f'--config.{name}={value} would train it with the fields of {before!r}; {by_config}write a '
        'row for it into a config file of your own'
      )


def code(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
  """Yield (dotted name, 'module:Class') of every field of a configuration that names code."""
  for name, value in _fields(config):
    if name.rpartition('.')[2] in _CODE and own_code.is_own(str(value)):
      yield name, value
  for label in config.get('compare', {}):
    if own_code.is_own(label):  # The name of a method is its label, unless the group says another.
      yield f'compare.{label}', label


def shown(file: str, argument: str) -> str:
  """Return what --show prints: every field, and where its value comes from.

  Args:
    file: that --config names.
    argument: that follows it, or ''.
  """
  from pidkd_jax.cli import config_help  # Late: with all methods.

  saved = pathlib.Path(file).resolve() == _SAVED
  # The file has run already, so that it runs without its argument as well, or needs one.
  unargued = None
  if argument and not saved:
    with contextlib.suppress(Exception):
      unargued = runpy.run_path(file)['get_config']()
  named = argument if saved else file
  head = [('config', named)] + ([('argument', argument)] if argument and not saved else [])
  given = {name.partition('[')[0] for name in config_flags.get_override_values(_flag())}
  text = config_help.sources(flags.FLAGS.config, unargued, given, pathlib.Path(named).name)
  return '\n'.join([*(f'# {name}: {value}' for name, value in head), '', text])


def described() -> str:
  """Return what --help prints of the fields of the configuration that --config names."""
  from pidkd_jax.cli import config_help  # Late: with all methods.

  return config_help.meanings(flags.FLAGS.config)


def _flag() -> flags.Flag:
  return flags.FLAGS['config']


def _fields(config: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Yield (dotted name, value) of every field of a configuration, sorted."""
  for name, value in sorted(config.items()):
    if hasattr(value, 'items'):
      yield from _fields(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value
