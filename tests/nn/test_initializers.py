"""Initial weights are those of JAX's own initialisers.

From JAX 0.12 on, its normal initialisers multiply in another order, which moves the last bits.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.nn import initializers

variance_scaling = jax.nn.initializers.variance_scaling


@pytest.mark.parametrize(
  'ours, theirs',
  [
    (initializers.normal, jax.nn.initializers.normal(1.0)),
    (initializers.he_normal_fan_out, variance_scaling(2.0, 'fan_out', 'normal')),
    (initializers.pytorch_default, variance_scaling(1 / 3, 'fan_in', 'uniform')),
    (initializers.uniform_fan_in(1.0), variance_scaling(1.0, 'fan_in', 'uniform')),
  ],
)
@pytest.mark.parametrize('shape', [(3, 2, 5, 7), (4, 6)])
def test_weights_equal_those_of_jax(ours, theirs, shape):
  weights, expected = (init(jax.random.key(3), shape, jnp.float32) for init in (ours, theirs))
  assert weights.shape == shape and weights.dtype == jnp.float32
  np.testing.assert_array_max_ulp(weights, expected, maxulp=2)


def test_a_stack_draws_each_kernel_from_its_own_key():
  keys = jax.random.split(jax.random.key(0), 3)
  stacked = jax.vmap(lambda key: initializers.he_normal_fan_out(key, (3, 3, 4, 5)))(keys)
  one_by_one = [initializers.he_normal_fan_out(key, (3, 3, 4, 5)) for key in keys]
  np.testing.assert_array_equal(stacked, np.stack(one_by_one))


def test_uniform_stays_within_its_bound():
  weights = initializers.uniform(0.25)(jax.random.key(1), (40, 50))
  assert weights.shape == (40, 50) and 0.24 < np.abs(weights).max() <= 0.25
