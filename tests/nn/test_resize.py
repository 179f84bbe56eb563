"""Averaging over area keeps the spatial mean, and cubic convolution is that of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.nn import resize
from tests.nn.maps import maps


def test_average_to_shares_a_cell_by_area():
  x = jnp.array([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
  result = resize.average_to(x, (2, 1)).ravel()
  np.testing.assert_allclose(result, [(1 + 2 / 2) / 1.5, (2 / 2 + 4) / 1.5], rtol=1e-6)


@pytest.mark.parametrize(
  'size_in, size_out',
  [((8, 8), (4, 4)), ((9, 9), (8, 8)), ((17, 17), (4, 4)), ((9, 6), (4, 5)), ((7, 3), (1, 3))],
)
def test_average_to_keeps_the_spatial_mean(size_in, size_out):
  x = maps(2, *size_in, 3) * jnp.array([1.0, 10.0, 100.0])
  result = resize.average_to(x, size_out)
  assert result.shape == (2, *size_out, 3)
  np.testing.assert_allclose(
    np.mean(np.asarray(result, np.float64), axis=(1, 2)),
    np.mean(np.asarray(x, np.float64), axis=(1, 2)),
    rtol=1e-4,
    atol=1e-6,
  )
  np.testing.assert_allclose(resize.average_to(jnp.ones_like(x), size_out), 1, rtol=1e-6)


@pytest.mark.parametrize('size_in, size_out', [(9, 8), (7, 1), (7, 4)])
def test_average_to_in_bfloat16_rounds_only_its_result(size_in, size_out):
  """Rounded weights would bias every mean, by 0.4% from 9 cells to 8."""
  x = (1 + maps(2, size_in, size_in, 3)).astype(jnp.bfloat16)
  result = resize.average_to(x, (size_out, size_out))
  exact = resize.average_to(x.astype(jnp.float32), (size_out, size_out))
  assert result.dtype == jnp.bfloat16
  np.testing.assert_array_equal(result, exact.astype(jnp.bfloat16))


def test_average_to_is_average_pooling_where_the_sizes_divide():
  x = maps(2, 8, 6, 3)
  expected = nn.avg_pool(x, (4, 2), (4, 2))
  np.testing.assert_allclose(resize.average_to(x, (2, 3)), expected, rtol=1e-5, atol=1e-6)


def test_average_to_leaves_a_smaller_direction_alone():
  x = maps(1, 2, 6, 1)
  assert resize.average_to(x, (4, 3)).shape == (1, 2, 3, 1)
  assert resize.average_to(x, (4, 6)) is x


@pytest.mark.parametrize(
  'student, target, common',
  [
    ((8, 8), (4, 4), (4, 4)),
    ((4, 4), (8, 8), (4, 4)),
    ((5, 5), (5, 5), (5, 5)),
    ((9, 4), (4, 9), (4, 4)),
  ],
)
def test_match_resolution_averages_the_larger_map(student, target, common):
  z, z_t = maps(2, *student, 3), maps(2, *target, 5, seed=1)
  matched, matched_t = resize.match_resolution(z, z_t)
  assert matched.shape == (2, *common, 3) and matched_t.shape == (2, *common, 5)
  for before, after in ((z, matched), (z_t, matched_t)):
    if before.shape[1:3] == common:
      np.testing.assert_array_equal(after, before)
    np.testing.assert_allclose(
      np.mean(after, axis=(1, 2)), np.mean(before, axis=(1, 2)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('size', [(3, 5), (14, 20), (7, 1)])
def test_cubic_to_equals_jax(size):
  x = maps(1, 7, 9, 3)[0]
  expected = jax.image.resize(x, (*size, 3), 'cubic')
  np.testing.assert_allclose(resize.cubic_to(x, size), expected, rtol=1e-5, atol=1e-5)
