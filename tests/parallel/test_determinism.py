"""The flag for GPUs as far as CPUs can show it: that XLA knows it, and has it where it compiles."""

import os
import subprocess
import sys

import jax.numpy as jnp
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import determinism

SCRIPT = """
from pidkd_jax import app

import jax.numpy as jnp
from ml_collections import config_flags

config_flags.DEFINE_config_file('config')
app.run(lambda: print(jnp.arange(3) + 1))
"""


def test_a_script_sets_it_before_xla_reads_its_flags(environment, tmp_path):
  """XLA ends a process that has a flag which it does not know."""
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT, '--config=configs/digits.py', '--config.deterministic'],
    env=environment | {'XLA_FLAGS': f'--xla_dump_to={tmp_path}', 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert (done.returncode, done.stdout) == (0, '[1 2 3]\n'), done.stderr
  options = [path.read_text() for path in tmp_path.glob('*debug_options')]
  assert options and all('xla_gpu_deterministic_ops: true' in text for text in options)


def test_too_late_is_an_error_and_changes_nothing(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '--xla_something=1')
  jnp.ones(1).block_until_ready()
  with pytest.raises(UserError, match='JAX is at work already; set XLA_FLAGS=--xla_gpu_determin'):
    determinism.require()
  assert os.environ['XLA_FLAGS'] == '--xla_something=1'


def test_what_the_user_has_set_himself_is_enough(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '--xla_something=1 --xla_gpu_deterministic_ops=true')
  determinism.require()
