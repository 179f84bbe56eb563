"""Sizes of projectors, by hand and against the layer."""

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax.evaluation import cost
from pidkd_jax.nn.projector_size import hidden_width, num_parameters
from pidkd_jax.nn.projectors import Projector


@pytest.mark.parametrize(
  'c_s, c_t, thousands',
  [  # f = 1, 2, 4, 8, from shared/reference/README.md.
    (256, 256, (722, 214, 70, 26)),
    (512, 256, (788, 247, 87, 34)),
    (64, 128, (173, 50, 16, 6)),
    (512, 512, (2887, 854, 280, 104)),
  ],
)
def test_parameters_equal_the_published_ones(c_s, c_t, thousands):
  counts = [num_parameters(c_s, c_t // factor, c_t) for factor in (1, 2, 4, 8)]
  assert [round(count / 1000) for count in counts] == list(thousands)


@pytest.mark.parametrize('c_s, c_t, factor', [(4, 12, 2), (7, 5, 1), (7, 5, 2)])
def test_parameters_equal_those_of_the_layer(c_s, c_t, factor):
  layer = Projector(c_t, c_t // factor, rectified=True)
  x = jax.ShapeDtypeStruct((1, 2, 2, c_s), jnp.float32)
  variables = jax.eval_shape(lambda key, x: layer.init(key, x, False), jax.random.key(0), x)
  assert num_parameters(c_s, c_t // factor, c_t) == cost.parameters(variables['params'])


def test_one_projector_as_large_as_three_by_hand():
  # 3 * 214,016 = 642,048; 9*m^2 + 516*m + 512 is 637,925 at m = 239 and 642,752 at m = 240.
  assert 3 * num_parameters(256, 128, 256) == 642_048
  assert hidden_width(642_048, 256, 256) == 240


@pytest.mark.parametrize('hidden', [1, 2, 17, 100_003])
def test_the_size_of_a_projector_determines_its_width(hidden):
  count = num_parameters(64, hidden, 100)
  between = num_parameters(64, hidden + 1, 100) - count
  assert hidden_width(count, 64, 100) == hidden
  assert hidden_width(count + (between - 1) // 2, 64, 100) == hidden
  assert hidden_width(count + between // 2 + 1, 64, 100) == hidden + 1


def test_a_tie_goes_to_the_narrower_projector():
  # 9 + 8 + 4 = 21 and 36 + 16 + 4 = 56 parameters; then 81 + 24 + 4 = 109.
  assert [hidden_width(count, 2, 2) for count in (38, 39, 82, 83)] == [1, 2, 2, 3]
  # 9 + 27 + 2 = 38 and 36 + 54 + 2 = 92: 65 is half-way.
  assert [hidden_width(count, 22, 1) for count in (65, 66)] == [1, 2]


@pytest.mark.parametrize('count', [0, 1, 2 * 12, 2 * 12 + 1])
def test_no_projector_is_narrower_than_one(count):
  assert hidden_width(count, 4, 12) == 1
