"""Drawn in a row, the initial weights are those of JAX's own initialisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.nn import initializers

THEIRS = jax.nn.initializers.variance_scaling


@pytest.mark.parametrize(
  'ours, theirs',
  [
    (initializers.normal, jax.nn.initializers.normal(1.0)),
    (initializers.he_normal_fan_out, THEIRS(2.0, 'fan_out', 'normal')),
    (initializers.pytorch_default, THEIRS(1 / 3, 'fan_in', 'uniform')),
    (initializers.uniform_fan_in(1.0), THEIRS(1.0, 'fan_in', 'uniform')),
  ],
)
@pytest.mark.parametrize('shape', [(3, 2, 5, 7), (4, 6)])
def test_the_numbers_are_jaxs_own(ours, theirs, shape):
  found, expected = (draw(jax.random.key(3), shape, jnp.float32) for draw in (ours, theirs))
  assert found.shape == shape and found.dtype == jnp.float32
  np.testing.assert_array_equal(found, expected)


def test_a_stack_draws_each_by_its_key():
  keys = jax.random.split(jax.random.key(0), 3)
  stacked = jax.vmap(lambda key: initializers.he_normal_fan_out(key, (3, 3, 4, 5)))(keys)
  one_by_one = [initializers.he_normal_fan_out(key, (3, 3, 4, 5)) for key in keys]
  np.testing.assert_array_equal(stacked, np.stack(one_by_one))


def test_uniform_stays_within_its_bound():
  drawn = initializers.uniform(0.25)(jax.random.key(1), (40, 50))
  assert drawn.shape == (40, 50) and 0.24 < np.abs(drawn).max() <= 0.25
