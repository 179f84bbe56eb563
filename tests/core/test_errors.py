"""Messages name the value and the remedy."""

import importlib
import pickle
import pkgutil
import signal

import pytest

import pidkd_jax
from pidkd_jax.core import lazy
from pidkd_jax.core.errors import Stopped, UserError, printable, respelled, unknown_name
from pidkd_jax.data.tfds.download import BrokenOffError
from pidkd_jax.parallel.preemption import Terminated
from pidkd_jax.training.outcome import Diverged


def test_a_misspelt_name_gets_the_nearest_and_all():
  error = unknown_name('model', 'resnet8x5', ['wrn_16_2', 'resnet8x4'])
  assert isinstance(error, UserError)
  assert str(error) == (
    "unknown model 'resnet8x5'; did you mean 'resnet8x4'? there are: resnet8x4, wrn_16_2"
  )


def test_a_name_unlike_all_others_gets_no_guess():
  assert str(unknown_name('model', 'zzz', ['a', 'b'])) == "unknown model 'zzz'; there are: a, b"


def test_after_ten_names_a_command_lists_the_others():
  names = [f'n{number:02}' for number in range(12)]
  ten = ', '.join(names[:10])
  for command, end in (('pidkd networks', ' and 2 more: pidkd networks'), ('', ' and 2 more')):
    assert str(unknown_name('model', 'zzz', names, command)).endswith(f'there are: {ten}{end}')
  assert str(unknown_name('model', 'zzz', names[:10], 'pidkd networks')).endswith(ten)


def test_stopped_carries_its_exit_status():
  stopped = Stopped('stopped at step 3', status=143)
  assert (str(stopped), stopped.status) == ('stopped at step 3', 143)


def test_a_name_cannot_steer_a_terminal():
  assert printable('ant\x1b[2J\u202e\r bee é\n') == 'ant\\x1b[2J\\u202e\\r bee é\n'


def test_parameters_are_respelled_and_others_stay():
  names = {'archive': '--archive', 'limit=0': '--stream'}
  with pytest.raises(UserError) as raised, respelled(names):
    raise UserError('`archive` is x; `archive=a b`, `limit=0`, `limit=1` or `other`')
  assert str(raised.value) == '--archive is x; --archive=a b, --stream, `limit=1` or `other`'


# What the constructors take that do not take a message alone.
ARGUMENTS = {
  Stopped: ('stopped at step 3', 143),
  Diverged: ({'pidkd-0': 7, 'kd-0': 9},),
  Terminated: (signal.SIGTERM,),
  BrokenOffError: ('ReadTimeout', 300),
}


def subclasses(kind):
  for one in kind.__subclasses__():
    yield one
    yield from subclasses(one)


def exceptions():
  """Return the exception classes that the package's modules define."""
  for module in pkgutil.walk_packages(pidkd_jax.__path__, 'pidkd_jax.'):
    # The others start a program or a worker.
    if '.cli' not in module.name and '__main__' not in module.name:
      importlib.import_module(module.name)
  return {
    kind
    for kind in subclasses(BaseException)
    if kind.__module__.startswith('pidkd_jax.') and '<locals>' not in kind.__qualname__
  }


def test_exceptions_pass_between_processes():
  """A pool waits for ever for an exception that cannot be unpickled."""
  found = exceptions()
  assert found >= {*ARGUMENTS, UserError, lazy.MissingPackage}
  for kind in found:
    error = kind(*ARGUMENTS.get(kind, ('epochs is 0; at least 1 is needed',)))
    error.add_note('of job 3')
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))
