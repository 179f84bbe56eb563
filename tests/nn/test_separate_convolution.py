"""Convolutions that stay separate where `vmap` would make a grouped one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.nn import convolution

SETTINGS = {'padding': ((1, 1), (1, 1)), 'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}


@pytest.mark.parametrize('shared', [True, False], ids=['one map', 'a map for each kernel'])
def test_values_and_gradients_of_strided_kernels_are_kept(shared):
  random = np.random.default_rng(0)
  x = jnp.asarray(random.normal(size=(3, 2, 5, 4, 2)), jnp.float32)
  x, axis = (x[0], None) if shared else (x, 0)
  kernels = jnp.asarray(random.normal(size=(3, 3, 3, 2, 4)), jnp.float32)

  def squares(x, kernel):
    y = convolution.fastest(x, kernel, strides=(2, 2), **SETTINGS)
    return jnp.sum(y**2)

  def compute(x, kernels):
    # The sum over kernels, as the gradient by a shared map is one.
    return jnp.sum(jax.vmap(squares, (axis, 0))(x, kernels))

  differentiate = jax.value_and_grad(compute, argnums=(0, 1))

  def is_grouped():
    program = str(jax.make_jaxpr(differentiate)(x, kernels))
    return 'feature_group_count=3' in program or 'batch_group_count=3' in program

  assert shared or is_grouped()
  grouped = differentiate(x, kernels)
  with convolution.separate():
    assert not is_grouped()
    separate = differentiate(x, kernels)
  for ours, theirs in zip(jax.tree.leaves(separate), jax.tree.leaves(grouped), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_outside_of_its_scope_nothing_changes():
  convolve = functools.partial(convolution.fastest, strides=(1, 1), **SETTINGS)
  x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2))
  _, slope = jax.jvp(convolve, (x, kernel), (x, kernel))
  assert slope.shape == (1, 4, 4, 2)
  assert 'custom' not in str(jax.make_jaxpr(convolve)(x, kernel))
