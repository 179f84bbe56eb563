"""On CPUs these tests show that XLA knows the GPU flags, and reads them before it compiles."""

import os
import subprocess
import sys

import jax.numpy as jnp
import pytest

from benchmarks.gpu.parts import tuning
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import determinism

SCRIPT = """
from pidkd_jax.cli import app, training_flags

import jax.numpy as jnp

training_flags.define('')
app.run(lambda: print(jnp.arange(3) + 1))
"""


def test_a_script_sets_them_before_xla_reads_its_flags(environment, tmp_path):
  # Those that the benchmark tries are only known; XLA would end the process at an unknown one.
  tried = [flag for flag in tuning.CHOICES.values() if 'triton_gemm' not in flag]
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT, '--config=configs/digits.py', '--config.deterministic'],
    env=environment
    | {
      'XLA_FLAGS': ' '.join([f'--xla_dump_to={tmp_path}', *tried]),
      'JAX_PLATFORMS': 'cpu',
    },
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert (done.returncode, done.stdout) == (0, '[1 2 3]\n'), done.stderr
  options = [path.read_text() for path in tmp_path.glob('*debug_options')]
  assert options
  for text in options:
    assert 'xla_gpu_deterministic_ops: true' in text
    assert 'xla_gpu_enable_triton_gemm: false' in text


def test_setting_it_too_late_is_an_error_and_changes_nothing(monkeypatch):
  jnp.ones(1).block_until_ready()  # JAX ends the process if it starts with an unknown flag.
  monkeypatch.setenv('XLA_FLAGS', '--xla_something=1')
  with pytest.raises(UserError, match='after JAX has started; set XLA_FLAGS=--xla_gpu_determin'):
    determinism.require()
  assert os.environ['XLA_FLAGS'] == '--xla_something=1'


def test_a_flag_that_the_user_set_is_enough(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '--xla_something=1 --xla_gpu_deterministic_ops=true')
  determinism.require()
