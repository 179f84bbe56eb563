"""Compiled programs in the user's cache folder, damaged ones too."""

import os
import shutil
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


def test_a_folder_that_cannot_be_made_is_said_once_and_nothing_is_kept(home, monkeypatch, caplog):
  """As in a container whose user has no home."""
  (home / 'file').touch()
  monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'file'))
  program_cache.keep()
  assert call() == call() == [0, 1, 4]
  [message] = caplog.messages
  assert message == (
    f'compiled programs are not kept, as {program_cache.folder()} cannot be used (Not a directory);'
    ' set XDG_CACHE_HOME or JAX_COMPILATION_CACHE_DIR to a folder that can be written'
  )


def test_a_folder_that_cannot_be_written_is_not_used(home, monkeypatch, caplog):
  monkeypatch.setattr(os, 'access', lambda path, mode: not mode & os.W_OK)
  program_cache.keep()
  assert call() == [0, 1, 4] and not entries(home)
  assert 'cannot be used (Permission denied)' in caplog.text


def test_the_users_own_folder_may_be_one_to_read_only(home, monkeypatch, caplog):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(home / 'own'))
  jax.config.update('jax_compilation_cache_dir', str(home / 'own'))
  monkeypatch.setattr(os, 'access', lambda path, mode: not mode & os.W_OK)
  program_cache.keep()
  assert getattr(jax.config, 'jax_compilation_cache_dir') and not caplog.text


@pytest.mark.parametrize('own', ['', 'gs://bucket/programs'])
def test_what_is_no_folder_here_is_left_to_jax(home, monkeypatch, caplog, own):
  monkeypatch.chdir(home)
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', own)
  program_cache.keep()
  assert not caplog.text and not list(home.iterdir())


@pytest.mark.filterwarnings('default')
def test_programs_that_cannot_be_written_are_said_once_with_the_reason(home, caplog, capfd):
  """As on a full disk."""
  program_cache.keep()
  call()
  shutil.rmtree(program_cache.folder())
  program_cache.folder().touch()
  assert call() == call() == [0, 1, 4]
  [message] = caplog.messages
  assert message.startswith('compiled programs cannot be kept, and the next start is slower: ')
  assert 'Not a directory' in message and capfd.readouterr().err == ''
