"""How a program starts."""

import ctypes
import errno
import signal
import subprocess
import sys
import threading
import types

import pytest
import tqdm

from pidkd_jax.cli import app
from pidkd_jax.parallel import preemption, processes, program_cache
from pidkd_jax.training import log
from tests.small import ROOT


def test_bars_take_a_lock_of_this_process(monkeypatch):
  monkeypatch.setattr(app.app, 'run', lambda *_, **__: None)
  monkeypatch.setattr(sys, 'path', [*sys.path])
  monkeypatch.delattr(tqdm.tqdm, '_lock', raising=False)
  app.run(lambda: None)
  assert isinstance(tqdm.tqdm.get_lock(), type(threading.RLock()))


class Given(dict):
  """Flags of a command that takes a config."""

  __getattr__ = dict.__getitem__


def test_sigterm_ends_a_process_that_has_joined_others(monkeypatch, capsys):
  """JAX sets a handler behind Python's back, and would keep the signal to itself."""
  numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
  before = [(number, signal.getsignal(number)) for number in numbers]
  set_handler = ctypes.pythonapi.PyOS_setsig
  set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
  monkeypatch.setattr(
    processes, 'initialize', lambda *_: set_handler(signal.SIGTERM, signal.SIG_IGN)
  )
  monkeypatch.setattr(program_cache, 'keep', lambda: None)
  monkeypatch.setattr(log, 'to_terminal', lambda **_: None)
  names = ('config', 'distributed', 'coordinator', 'num_processes', 'process_id')
  monkeypatch.setattr(app.flags, 'FLAGS', Given.fromkeys(names))
  monkeypatch.setattr(app.os, '_exit', sys.exit)
  try:
    with pytest.raises(SystemExit) as end:
      app._guarded(lambda: signal.raise_signal(signal.SIGTERM), 'pidkd')
  finally:
    for number, handler in before:
      signal.signal(number, handler)
  assert end.value.code == 128 + signal.SIGTERM
  assert capsys.readouterr().err.startswith('stopped; what is saved stays')


def test_what_the_cache_of_programs_has_to_say_is_logged(monkeypatch):
  """It cannot keep them in a home that is read-only."""
  calls = []
  for module, name in (
    (log, 'to_terminal'),
    (program_cache, 'keep'),
    (preemption, 'raise_terminated'),
  ):
    monkeypatch.setattr(module, name, lambda name=name, **_: calls.append(name))
  monkeypatch.setattr(app.flags, 'FLAGS', {})
  app._guarded(lambda: calls.append('main'), 'pidkd')
  assert calls == ['raise_terminated', 'to_terminal', 'keep', 'main']


def test_a_signal_while_a_program_compiles_ends_with_its_status():
  """At Python's own exit the process would crash."""
  script = """
import os, signal, threading
from pidkd_jax.cli import app
import jax, jax.numpy as jnp
def program(x):
  for i in range(200):
    x = jnp.sin(x @ x) + i
  return x
def main():
  threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
  while True:
    jax.jit(lambda x: program(x) + 1)(jnp.ones((50, 50)))
app.run(main)
"""
  done = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 143, done.stderr
  assert done.stderr.startswith('stopped; ') and done.stderr.count('\n') == 1


@pytest.mark.parametrize('option', ['--help', '-h', '--helpfull'])
def test_a_program_of_its_own_prints_its_help_and_does_not_run(monkeypatch, capsys, option):
  module = types.ModuleType('measurement', 'Measure it.')
  exec('def main():\n  raise AssertionError', vars(module))
  monkeypatch.setitem(sys.modules, 'measurement', module)
  monkeypatch.setattr(sys, 'argv', ['measurement.py', '--rounds=3', option])
  for defined, shown in ((False, ''), (True, '\n\n  --rounds=7  Timed calls.')):
    values = app.flags.FlagValues()
    monkeypatch.setattr(app.flags, 'FLAGS', values)
    if defined:
      app.flags.DEFINE_integer(
        'rounds', 7, 'Timed calls.', flag_values=values, module_name='measurement'
      )
    with pytest.raises(SystemExit) as end:
      app.run(module.main)
    assert not end.value.code
    assert capsys.readouterr().out == f'Measure it.{shown}\n'


def test_the_last_line_may_find_no_terminal(monkeypatch):
  def write(_):
    raise OSError(errno.EIO, 'Input/output error')

  monkeypatch.setattr(sys.stderr, 'write', write)
  with pytest.raises(SystemExit) as end:
    app._fail('stopped', 129)
  assert end.value.code == 129
