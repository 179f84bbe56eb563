"""Each formulation is `lax.conv_general_dilated` once more, with its gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pidkd_jax.nn import convolution

SIDES = [(6, 6), (7, 7), (5, 8)]


def maps(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def general(x, kernel, strides, padding, feature_group_count=1):
  return lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=feature_group_count,
  )


def assert_is_the_convolution(formulation, x, kernel, expected=general, **settings):
  """Compares the values, and both gradients for the same random cotangent."""

  @functools.partial(jax.jit, static_argnums=0)
  def run(function, x, kernel):
    y, pull = jax.vjp(functools.partial(function, **settings), x, kernel)
    return y, pull(maps(*y.shape, seed=2))

  found, wanted = run(formulation, x, kernel), run(expected, x, kernel)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, wanted)


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize(
  'size, padding',
  [
    ((1, 1), ((0, 0), (0, 0))),
    ((3, 3), ((1, 1), (1, 1))),
    ((3, 2), ((2, 0), (0, 1))),
    ((3, 3), ((0, 0), (0, 0))),
  ],
)
def test_by_dot(sides, size, padding):
  x, kernel = maps(2, *sides, 3), maps(*size, 3, 4, seed=1)
  assert_is_the_convolution(convolution.by_dot, x, kernel, strides=(1, 1), padding=padding)


@pytest.mark.parametrize('strides', [(2, 2), (1, 2), (2, 1)])
def test_by_dot_refuses_strides(strides):
  with pytest.raises(ValueError, match='stride 1'):
    convolution.by_dot(maps(1, 4, 4, 1), maps(1, 1, 1, 1), strides, ((0, 0), (0, 0)))


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize('groups, inputs, outputs', [(1, 3, 4), (2, 6, 4), (3, 6, 9), (4, 4, 4)])
def test_grouped_by_dot(sides, groups, inputs, outputs):
  x, kernel = maps(2, *sides, inputs), maps(1, 1, inputs // groups, outputs, seed=1)
  assert_is_the_convolution(
    convolution.grouped_by_dot,
    x,
    kernel,
    strides=(1, 1),
    padding=((0, 0), (0, 0)),
    feature_group_count=groups,
  )


@pytest.mark.parametrize(
  'size, strides, padding',
  [
    ((3, 3), (1, 1), ((0, 0), (0, 0))),
    ((1, 2), (1, 1), ((0, 0), (0, 0))),
    ((1, 1), (2, 2), ((0, 0), (0, 0))),
    ((1, 1), (1, 1), ((1, 1), (1, 1))),
    ((1, 1), (1, 1), ((0, 0), (0, 1))),
  ],
)
def test_grouped_by_dot_refuses_what_is_not_pointwise(size, strides, padding):
  with pytest.raises(ValueError, match='1x1, of stride 1 and without padding'):
    convolution.grouped_by_dot(
      maps(1, 4, 4, 4), maps(*size, 2, 4), strides, padding, feature_group_count=2
    )


@pytest.mark.parametrize('sides', SIDES)
@pytest.mark.parametrize(
  'size, strides, padding',
  [
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 3), (2, 2), ((1, 1), (1, 1))),
    ((3, 2), (2, 1), ((2, 0), (0, 1))),
    ((5, 5), (2, 3), ((2, 2), (2, 2))),
    ((3, 3), (2, 2), ((0, 0), (0, 0))),
  ],
)
def test_depthwise_by_shift(sides, size, strides, padding):
  x, kernel = maps(2, *sides, 4), maps(*size, 1, 4, seed=1)
  assert_is_the_convolution(
    convolution.depthwise_by_shift,
    x,
    kernel,
    strides=strides,
    padding=padding,
    feature_group_count=4,
  )


@pytest.mark.parametrize('kernel', [(3, 3, 2, 4), (3, 3, 1, 8), (3, 3, 1, 2), (3, 3, 4, 4)])
def test_depthwise_by_shift_refuses_other_kernels(kernel):
  with pytest.raises(ValueError, match='not depthwise on 4 channels'):
    convolution.depthwise_by_shift(maps(1, 4, 4, 4), maps(*kernel), (1, 1), ((1, 1), (1, 1)))


@pytest.mark.parametrize('sides', SIDES)
def test_winograd(sides):
  x, kernel = maps(2, *sides, 3), maps(3, 3, 3, 4, seed=1)

  def winograd(x, kernel, **_):
    return convolution.winograd(x, kernel)

  assert_is_the_convolution(winograd, x, kernel, strides=(1, 1), padding=((1, 1), (1, 1)))


def test_winograd_of_one_tile_by_hand():
  # Ones under a kernel of ones: each output counts its neighbours within the map.
  y = convolution.winograd(jnp.ones((1, 2, 3, 1)), jnp.ones((3, 3, 1, 1)))
  np.testing.assert_array_equal(y[0, :, :, 0], [[4, 6, 4], [4, 6, 4]])


@pytest.mark.parametrize('formulation', [convolution.fastest, convolution.fastest_stacked])
@pytest.mark.parametrize(
  'size, channels, strides, padding, chosen',
  [
    (3, (32, 40), (1, 1), 1, True),
    (3, (64, 70), (1, 1), 1, True),
    (3, (31, 40), (1, 1), 1, False),
    (3, (32, 40), (1, 1), 0, False),
    (1, (32, 40), (1, 1), 0, False),
  ],
)
def test_winograd_is_chosen_where_it_applies_and_pays(
  formulation, size, channels, strides, padding, chosen
):
  x, kernel = maps(2, 5, 4, channels[0]), maps(size, size, *channels, seed=1)
  settings = {'strides': strides, 'padding': ((padding,) * 2,) * 2}
  # As nn.Conv calls it.
  others = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC'), 'feature_group_count': 1}
  assert (
    'winograd'
    in str(jax.make_jaxpr(functools.partial(formulation, **settings, **others))(x, kernel))
  ) == chosen
  assert_is_the_convolution(functools.partial(formulation, **others), x, kernel, **settings)


def test_gradients_of_a_stack():
  x, kernels = maps(2, 5, 4, 32), maps(3, 3, 3, 32, 33, seed=1)

  def each(formulation):
    def stacked(x, kernels, **settings):
      return jax.vmap(functools.partial(formulation, x, **settings))(kernels)

    return stacked

  def one_by_one(x, kernels, **settings):
    return jnp.stack([general(x, kernel, **settings) for kernel in kernels])

  settings = {'strides': (1, 1), 'padding': ((1, 1), (1, 1))}
  assert_is_the_convolution(
    each(convolution.fastest_stacked), x, kernels, expected=one_by_one, **settings
  )


@pytest.mark.parametrize('strides, groups', [((2, 2), 1), ((1, 1), 2)])
def test_strides_and_groups_are_left_to_xla(strides, groups):
  x, kernel = maps(2, 6, 6, 64), maps(3, 3, 64 // groups, 64, seed=1)
  settings = {'strides': strides, 'padding': ((1, 1),) * 2, 'feature_group_count': groups}
  found = convolution.fastest(x, kernel, dimension_numbers=('NHWC', 'HWIO', 'NHWC'), **settings)
  np.testing.assert_array_equal(found, general(x, kernel, **settings))
