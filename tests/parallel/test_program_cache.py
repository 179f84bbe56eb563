"""Compiled programs in the user's cache folder, damaged ones too."""

import warnings

import jax
import jax.numpy as jnp
import jaxlib
import pytest
from jax.experimental.compilation_cache import compilation_cache

from pidkd_jax.parallel import program_cache

SETTINGS = {
  'jax_compilation_cache_dir': None,
  'jax_persistent_cache_min_compile_time_secs': 0,
  'jax_persistent_cache_min_entry_size_bytes': -1,
}


@pytest.fixture
def home(monkeypatch, tmp_path):
  """The user's cache folder; JAX keeps every program there."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
  before = {name: getattr(jax.config, name) for name in SETTINGS}
  for name, value in SETTINGS.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()
  yield tmp_path
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()


def call():
  """Call a program that this process has not compiled."""

  def squares(x):
    return x * x

  return jax.jit(squares)(jnp.arange(3)).tolist()


def entries(home):
  folder = home / 'pidkd_jax' / 'xla' / f'jaxlib-{jaxlib.__version__}'
  return {path.name: path.stat().st_size for path in folder.glob('jit_squares-*-cache')}


def test_deterministic_programs_have_a_folder_of_their_own(home, monkeypatch):
  """XLA would take for them what it found by tuning others."""
  others = program_cache.folder()
  monkeypatch.setenv('XLA_FLAGS', '--xla_a=1 --xla_gpu_deterministic_ops=true')
  assert program_cache.folder().name == f'{others.name}-deterministic'


@pytest.mark.filterwarnings('default')
def test_a_damaged_program_is_compiled_and_kept_anew_which_is_said_once(home, caplog, capfd):
  program_cache.keep()
  assert call() == [0, 1, 4]
  [(name, size)] = entries(home).items()
  path = next(home.rglob(name))
  path.write_bytes(path.read_bytes()[: size // 2])
  assert call() == call() == [0, 1, 4]
  [message] = caplog.messages
  assert message == 'the kept program jit_squares cannot be read; it is compiled anew'
  # An entry holds its own compilation's time.
  assert entries(home).keys() == {name} and abs(entries(home)[name] - size) < 8
  assert capfd.readouterr().err == ''


def test_other_warnings_are_shown_as_before(home, monkeypatch):
  shown = []
  monkeypatch.setattr(warnings, 'showwarning', lambda message, *rest: shown.append(message))
  program_cache.keep()
  program_cache.keep()
  warnings.showwarning('something else', UserWarning, 'file.py', 1)
  assert shown == ['something else']


def test_the_users_own_folder_stays(home, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(home / 'own'))
  jax.config.update('jax_compilation_cache_dir', str(home / 'own'))
  program_cache.keep()
  call()
  assert list(home.glob('own/jit_squares-*')) and not entries(home)
