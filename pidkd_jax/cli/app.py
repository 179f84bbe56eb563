"""How every script starts and ends; import it before anything that imports JAX."""

from pidkd_jax.core import runtime

runtime.tune_allocator()

# pylint: disable=g-import-not-at-top,wrong-import-position
import functools
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence

import jax
from absl import app, flags

from pidkd_jax.parallel import determinism, processes
from pidkd_jax.core.errors import Stopped, UserError, describe_error
from pidkd_jax.training import progress


# What ends some messages of absl and ml_collections: what we say there.
_CLEARER = {
  ' as a ConfigDict': ': it is a group; set its fields, or choose by FILE:NAME',
  "('Non-boolean": 'it is neither True nor False',
}

_DISTRIBUTED = flags.DEFINE_bool(
  'distributed', False, 'One of several processes, on a TPU pod or under Slurm or MPI.'
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator', '', 'HOST:PORT of the first of several processes, where JAX cannot find it.'
)
_NUM_PROCESSES = flags.DEFINE_integer('num_processes', 0, 'With --coordinator: how many there are.')
_PROCESS_ID = flags.DEFINE_integer('process_id', -1, 'With --coordinator: which this is, from 0.')


def run(main: Callable[..., None], operands: bool = False) -> None:
  """Parses the flags and runs `main`; a user's mistake ends in one line and a non-zero status.

  Args:
    main: takes no arguments or, with `operands`, what stands on the command line beside flags.
    operands: whether anything may stand there.

  Exit status: 0; 1 for what the user can mend; 2 for the command line; 143 or 130 for a run
  stopped by SIGTERM or Ctrl-C that the same command goes on with.
  """
  # Networks of the user's own are found where he starts, whatever folder the script lies in.
  sys.path.append(os.getcwd())
  # Flags may follow operands.
  flags.FLAGS.set_gnu_getopt(operands)
  app.run(
    lambda rest: _guarded(functools.partial(main, *rest[1:])),
    flags_parser=functools.partial(_parse, operands=operands),
  )


def _parse(args: Sequence[str], operands: bool) -> list[str]:
  args = _by_file(args)
  config = _config(args)
  try:
    rest = flags.FLAGS(args)
    for name in flags.FLAGS:
      # A file that --config names and that cannot be read says so only when it is used.
      getattr(flags.FLAGS[name].value, 'keys', None)
  except (flags.Error, UserError) as error:
    message = str(error)
    for words, ours in _CLEARER.items():
      before, found, _ = message.partition(words)
      message = before + ours if found else message
    _fail(message, 2)
  except Exception as error:  # The file runs as Python.
    _fail(_refused(config, error), 2)
  if config and flags.FLAGS['config'].value is None:
    _fail(f'--config {config}: its get_config returns nothing; return a ConfigDict', 2)
  if len(rest) > 1 and not operands:
    _fail(f'unknown argument {rest[1]!r}', 2)
  return rest


def _by_file(args: Sequence[str]) -> list[str]:
  """Arguments in which a run's config.json, after --config, is read by `saved.get_config`."""
  found = []
  for arg in args:
    flag, equals, path = arg.rpartition('=')
    named = flag == '--config' if equals else found[-1:] == ['--config']
    if named and path.endswith('.json'):
      arg = f'{flag}{equals}{pathlib.Path(__file__).parents[1] / "experiment" / "saved_config.py"}:{path}'
    found.append(arg)
  return found


def _config(args: Sequence[str]) -> str:
  """The file that --config names, '' if none."""
  for arg, following in zip(args, [*args[1:], ''], strict=True):
    flag, equals, value = arg.partition('=')
    if flag in ('--config', '-config'):
      return (value if equals else following).partition(':')[0]
  return ''


def _refused(config: str, error: Exception) -> str:
  """What is wrong with --config or a field of it."""
  if any(frame.filename == config for frame in traceback.extract_tb(error.__traceback__)):
    return f'--config {config} fails: {describe_error(error, config)}; mend it'
  if isinstance(error, SyntaxError):
    return f'--config {config} is not Python: {error}; name a file such as configs/digits.py'
  # ml_collections tells a long story, or wraps the KeyError that has the text.
  told = getattr(error.args[0], 'args', error.args)[0] if error.args else ''
  if "no attribute 'get_config'" in str(told):
    return f'--config {config} defines no get_config; name a file such as configs/digits.py'
  if isinstance(error, AttributeError | KeyError):
    return f'no such field in --config: {told}'
  return f'--config: {str(error).strip().splitlines()[-1].rpartition("to load: ")[2]}'


def _guarded(main: Callable[[], None]) -> None:
  jax.config.update('jax_compilation_cache_dir', str(runtime.cache_folder() / 'xla'))
  try:
    if 'config' in flags.FLAGS and getattr(flags.FLAGS['config'].value, 'deterministic', False):
      determinism.require()  # Before several processes ask JAX which they are.
    processes.initialize(
      _DISTRIBUTED.value, _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
    )
    progress.log_to_terminal(quiet=not processes.is_primary())
    main()
  except KeyboardInterrupt:
    _fail('stopped; what is saved stays, and the same command goes on from there', 130)
  except Stopped as stopped:
    _fail(stopped, stopped.status)
  except UserError as error:
    _fail(error, 1)
  except OSError as error:
    _fail(f'{error.strerror or error}: {error.filename or "the run cannot write"}', 1)
  except Exception as error:
    if not processes.is_initialized():
      raise
    if processes.is_peer_failure(error):
      _fail(
        'another process was lost; start all of them again, and they go on from what is saved', 1
      )
    traceback.print_exc()
    _fail('this process ends, and the others with it', 1)


def _fail(message: object, status: int) -> None:
  print(' '.join(str(message).split()), file=sys.stderr, flush=True)
  if processes.is_initialized():
    # At its exit Python would wait for the others, who may wait for this one.
    os._exit(status)
  sys.exit(status)
