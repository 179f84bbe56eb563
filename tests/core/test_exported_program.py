"""A program that could do more than compute is refused before it runs."""

import jax
import jax.numpy as jnp
import pytest
from jax import export

from pidkd_jax.core import exported_program

IMAGE = jax.ShapeDtypeStruct((2,), jnp.float32)


def foreign(x):
  return jax.ffi.ffi_call('callback', jax.ShapeDtypeStruct(x.shape, x.dtype))(x)


def test_a_program_that_only_computes_is_read():
  content = export.export(jax.jit(jnp.sin))(IMAGE).serialize()
  read = exported_program.read(content, 'it')
  assert read.call(jnp.zeros(2)).tolist() == [0, 0]


def test_a_program_that_calls_others_is_refused():
  allowed = [export.DisabledSafetyCheck.custom_call('callback')]
  content = export.export(jax.jit(foreign), disabled_checks=allowed)(IMAGE).serialize()
  with pytest.raises(ValueError, match='it calls functions outside StableHLO'):
    exported_program.read(content, 'it')


@pytest.mark.parametrize(
  'line', ['stablehlo.infeed', '"stablehlo.send"', 'stablehlo.custom_call @x(%0)']
)
def test_operations_that_reach_out_are_refused(line):
  text = f'stablehlo.custom_call @shape_assertion(%1)\n%0 = {line}'
  with pytest.raises(ValueError, match='it (waits|calls)'):
    exported_program._check_operations(text, 'it')
