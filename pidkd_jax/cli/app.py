"""How a program starts and ends; import it before anything that imports JAX."""

from pidkd_jax.core import extras, full_disk, runtime
from pidkd_jax.parallel import xla_flags

runtime.tune_allocator()
runtime.tune_garbage_collector()
xla_flags.fewer_candidates()

import contextlib
import functools
import inspect
import math
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import NoReturn

import tqdm
from absl import app, flags

from pidkd_jax.cli import help, training_flags
from pidkd_jax.core.errors import Stopped, UserError, printable, respelled
from pidkd_jax.training import log, progress

# The ends of some messages of absl and ml_collections, and what we say instead.
_CLEARER = {
  ' as a ConfigDict': ': it is a group; set its fields, or choose by FILE:NAME',
  "('Non-boolean": 'it is neither True nor False',
}


# {parameter of functions that Python calls as well: the flag that stands for it}.
_SPELLING = {'own': '--own', 'workdir': '--workdir', 'start': '--config.start'}


def define(define_flags: Callable[[], None]) -> list[flags.Flag]:
  """Define a command's flags, and return them in their order."""
  before = set(flags.FLAGS)
  define_flags()
  return [flags.FLAGS[name] for name in flags.FLAGS if name not in before]


def names_config(arguments: Sequence[str]) -> bool:
  """Return whether a command takes a config, and its arguments name one."""
  return 'config' in flags.FLAGS and bool(training_flags.value(arguments))


def run(main: Callable[..., None], argv: Sequence[str] | None = None) -> None:
  """Parse the flags and run `main`; a user's mistake ends in one line and a non-zero status.

  Asked for help, a program without a config prints the docstring and the flags of `main`'s module.
  One with a config has printed them itself, and the config's fields follow.

  Exit status: 0; 1 for what the user can mend; 2 for the command line; 143, 129 or 130 for a run
  stopped by SIGTERM, SIGHUP or Ctrl-C, which the same command resumes.

  Args:
    main: takes what stands on the command line beside flags; where it takes no arguments, nothing
      may stand there.
    argv: the program's name and its arguments; by default `sys.argv`.
  """
  argv = list(sys.argv if argv is None else argv)
  if help.is_asked_for(argv[1:]) and 'config' not in flags.FLAGS:
    print(_help(sys.modules[main.__module__]), flush=True)
    sys.exit()
  # A user's own networks are found in the folder where the program starts.
  sys.path.append(os.getcwd())
  # tqdm's own lock is for several processes. From Python 3.14 on, making it starts a process, which
  # prints a warning after a program that ends by `os._exit`.
  tqdm.tqdm.set_lock(threading.RLock())
  operands = bool(inspect.signature(main).parameters)
  flags.FLAGS.set_gnu_getopt(operands)  # Flags may follow operands.
  app.run(
    lambda rest: _guarded(functools.partial(main, *rest[1:]), rest[0]),
    argv=argv,
    flags_parser=functools.partial(_parse, operands=operands),
  )


def _help(module: types.ModuleType) -> str:
  docstring, own = module.__doc__ or '', flags.FLAGS.get_key_flags_for_module(module)
  return help.of_command(docstring, own) if own else docstring.strip()


def _parse(args: Sequence[str], operands: bool) -> list[str]:
  config = ''
  # `main` has printed the flags.
  helps = help.is_asked_for(args)
  try:
    args = training_flags.resolve([one for one in args if not help.is_asked_for([one])])
    config = training_flags.file(args)
    with progress.working('importing JAX') if config else contextlib.nullcontext():
      rest = flags.FLAGS(args)
      for name in flags.FLAGS:
        # A file that --config names and that cannot be read says so only when it is used.
        value = flags.FLAGS[name].value
        getattr(value, 'keys', None)
        # absl's bounds let nan pass. Fields of --config have a check of their own.
        if isinstance(value, float) and math.isnan(value) and '.' not in name:
          raise UserError(f'--{name} is {value}; a number is needed')
  except (flags.Error, UserError) as error:
    message = str(error)
    if config and 'parsing config file' in message:  # It holds the whole traceback.
      _fail(training_flags.explain(config, _inner(config, error)), 2)
    for words, ours in _CLEARER.items():
      before, found, _ = message.partition(words)
      message = before + ours if found else message
    _fail(message, 2)
  except Exception as error:  # The file runs as Python.
    _fail(training_flags.explain(config, error), 2)
  if len(rest) > 1 and not operands:
    _fail(f'unknown argument {rest[1]!r}', 2)
  if 'config' in flags.FLAGS:
    _require_config(config, training_flags.argument(args), helps)
  return rest


def _inner(config: str, error: Exception) -> Exception:
  """Return the error that went through the file, of those on which this one was raised."""
  inner: BaseException | None = error
  while inner := inner.__context__:
    if any(frame.filename == config for frame in traceback.extract_tb(inner.__traceback__)):
      return inner if isinstance(inner, Exception) else error
  return error


def _require_config(file: str, argument: str, helps: bool) -> None:
  """End here without a configuration, with --help or with --show."""
  try:
    training_flags.require(file)
    if helps or flags.FLAGS.show:
      print(training_flags.described() if helps else training_flags.shown(file, argument))
      sys.exit()
  except UserError as error:
    _fail(error, 2 if file else 1)


def _guarded(main: Callable[[], None], program: str) -> None:
  # Only now, so that a mistake in the command line does not wait for JAX.
  from pidkd_jax.parallel import determinism, preemption, processes, program_cache

  given = flags.FLAGS
  preemption.raise_terminated()
  try:
    if getattr(given.config if 'config' in given else None, 'deterministic', False):
      determinism.require()  # Before several processes ask JAX which they are.
    if 'config' in given:
      processes.initialize(
        given.distributed, given.coordinator, given.num_processes, given.process_id
      )
      preemption.raise_terminated()  # Joining gave SIGTERM a handler of JAX's own.
    log.to_terminal(
      quiet=not processes.is_primary(),
      verbose='verbose' in given and given.verbose,
      keep='config' in given,
    )
    program_cache.keep()  # It may have to say that it cannot.
    with extras.needed(program), respelled(_SPELLING):
      main()
    return
  except KeyboardInterrupt as stopped:
    received = getattr(stopped, 'signal', signal.SIGINT)
    # Python's own end crashes where a program was being traced or compiled.
    _end('stopped; what is saved stays, and the same command resumes from there', 128 + received)
  except Stopped as stopped:
    message, status = stopped, stopped.status
  except UserError as error:
    message, status = error, 1
  except BrokenPipeError:
    raise  # For `cli.main`.
  except OSError as error:
    remedy = '; make room, and repeat the command' if full_disk.is_cause(error) else ''
    message = f'{error.strerror or error}: {error.filename or "the run cannot write"}{remedy}'
    status = 1
  except Exception as error:
    _explain_backend()
    if not processes.is_initialized():
      raise
    status = 1
    if processes.is_peer_failure(error):
      message = 'another process was lost; start all again, and they resume from what is saved'
    else:
      traceback.print_exc()
      message = 'this process ends, and the others with it'
  if processes.is_initialized():
    # At its exit Python would wait for the others, which may wait for this one.
    _end(message, status)
  _fail(message, status)


def _explain_backend() -> None:
  """End here if JAX has no device; that can arise in any call of JAX."""
  from pidkd_jax.parallel import devices

  try:
    devices.require_backend()
  except UserError as missing:
    _fail(missing, 1)


def _fail(message: object, status: int) -> NoReturn:
  _print_line(message)
  sys.exit(status)


def _end(message: object, status: int) -> NoReturn:
  """End the process at once, without what Python does at its exit."""
  _print_line(message)
  with contextlib.suppress(OSError):
    sys.stdout.flush()
  os._exit(status)


def _print_line(message: object) -> None:
  with log.ignore_lost_terminal():
    print(printable(' '.join(str(message).split())), file=sys.stderr, flush=True)
