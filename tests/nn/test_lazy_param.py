"""A layer's parameters, without a trace of initialisers that are not needed."""

import jax
import jax.numpy as jnp
import pytest
from flax import errors

from pidkd_jax.nn.layers import Conv


def test_an_initialiser_runs_only_where_a_parameter_is_made():
  shapes = []

  def init(key, shape, dtype):
    shapes.append(shape)
    return jax.random.normal(key, shape, dtype)

  layer, x = Conv(4, (3, 3), kernel_init=init), jnp.ones((2, 8, 8, 3))
  variables = layer.init(jax.random.key(0), x)
  assert shapes == [(3, 3, 3, 4)]
  assert layer.apply(variables, x).shape == (2, 8, 8, 4)
  assert len(shapes) == 1


def test_a_parameter_of_another_shape_is_refused():
  variables = Conv(4, (3, 3)).init(jax.random.key(0), jnp.ones((2, 8, 8, 3)))
  with pytest.raises(errors.ScopeParamShapeError, match='kernel'):
    Conv(4, (5, 5)).apply(variables, jnp.ones((2, 8, 8, 3)))
