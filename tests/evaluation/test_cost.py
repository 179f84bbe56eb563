"""Parameters and multiply-adds against counts by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.evaluation.cost import Cost, cost, multiply_adds, parameters
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.nn.convolution import (
  by_dot,
  depthwise_by_shift,
  fastest,
  fastest_stacked,
  grouped_by_dot,
)
from pidkd_jax.nn.layers import conv

AXES = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}
SAME = ((1, 1), (1, 1))
VALID = ((0, 0), (0, 0))


def of(layer, *shape):
  """Return the multiply-adds of one layer, from shapes alone."""
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  variables = jax.eval_shape(layer.init, jax.random.key(0), x)
  return multiply_adds(layer.apply, variables, x)


@pytest.mark.parametrize(
  'layer, shape, expected',
  [
    (nn.Conv(7, (3, 3)), (1, 8, 8, 5), 8 * 8 * 7 * 9 * 5),
    (nn.Conv(7, (3, 3), strides=2, padding=1), (1, 8, 8, 5), 4 * 4 * 7 * 9 * 5),
    (nn.Conv(7, (1, 1)), (2, 8, 8, 5), 2 * 8 * 8 * 7 * 5),
    (nn.Conv(6, (3, 3), feature_group_count=6), (1, 8, 8, 6), 8 * 8 * 6 * 9),
    (nn.Conv(6, (3, 3), feature_group_count=2), (1, 8, 8, 4), 8 * 8 * 6 * 9 * 2),
    (conv(6, 3, groups=6, convolution=depthwise_by_shift), (1, 8, 8, 6), 8 * 8 * 6 * 9),
    (conv(6, 3, 2, groups=6, convolution=depthwise_by_shift), (2, 7, 8, 6), 2 * 4 * 4 * 6 * 9),
    (conv(6, 1, groups=2, convolution=grouped_by_dot), (1, 8, 8, 4), 8 * 8 * 6 * 2),
    (conv(6, 3, convolution=by_dot), (1, 8, 8, 4), 8 * 8 * 6 * 9 * 4),
    (conv(6, 1, padding=1, bias=True), (1, 8, 8, 4), 10 * 10 * 6 * 4),
    # On CPU by Winograd's algorithm.
    (conv(40, 3), (2, 4, 5, 32), 2 * 4 * 5 * 40 * 9 * 32),
    (nn.Dense(10), (1, 64), 640),
    (nn.BatchNorm(use_running_average=True), (1, 8, 8, 5), 0),
  ],
)
def test_layers_by_hand(layer, shape, expected):
  assert of(layer, *shape) == expected


# A 3x2 kernel on a 4x5 map of 6 channels, not padded, at stride (1, 2): 2x2 outputs.
DEPTHWISE = 2 * 2 * 6 * 3 * 2


def shifted(x, kernel):
  return depthwise_by_shift(x, kernel, (1, 2), VALID, feature_group_count=6, **AXES)


def test_a_depthwise_convolution_is_counted_wherever_it_is_compiled():
  x, kernel = jnp.zeros((3, 4, 5, 6)), jnp.zeros((3, 2, 1, 6))
  kernels = jnp.zeros((7, *kernel.shape))
  compiled = jax.jit(shifted)
  compiled(x, kernel)
  for function in (
    shifted,
    jax.jit(shifted),
    compiled,
    lambda x, kernel: 2 * jax.jit(shifted)(x, kernel),
  ):
    assert multiply_adds(function, x, kernel) == 3 * DEPTHWISE
    # One map and many kernels, many of both, and many maps of one kernel.
    assert multiply_adds(jax.vmap(function, (None, 0)), x, kernels) == 7 * 3 * DEPTHWISE
    assert multiply_adds(jax.vmap(function), x[:, None], kernels[:3]) == 3 * DEPTHWISE
    assert multiply_adds(jax.vmap(function, (0, None)), x[:, None], kernel) == 3 * DEPTHWISE


def test_a_depthwise_convolution_is_counted_over_any_axis_of_kernels():
  x, kernels = jnp.zeros((3, 4, 5, 6)), jnp.zeros((3, 2, 1, 6, 7))
  assert multiply_adds(jax.vmap(shifted, (None, -1)), x, kernels) == 7 * 3 * DEPTHWISE


@pytest.mark.parametrize('groups, channels', [(1, 6), (2, 6), (3, 6)])
def test_a_grouped_product_is_counted_over_many_kernels_too(groups, channels):
  def grouped(x, kernel):
    return grouped_by_dot(x, kernel, (1, 1), VALID, feature_group_count=groups, **AXES)

  x, kernels = jnp.zeros((2, 4, 5, channels)), jnp.zeros((7, 1, 1, channels // groups, 12))
  assert multiply_adds(grouped, x, kernels[0]) == 2 * 4 * 5 * 12 * channels // groups
  counted = multiply_adds(jax.vmap(grouped, (None, 0)), x, kernels)
  assert counted == 7 * 2 * 4 * 5 * 12 * channels // groups


def test_products_of_batches_of_matrices():
  a, b = jnp.zeros((5, 2, 3)), jnp.zeros((5, 3, 4))
  assert multiply_adds(jnp.matmul, a, b) == 5 * 2 * 3 * 4


def test_what_is_compiled_inside_counts_too():
  inner = jax.jit(jnp.matmul)
  assert multiply_adds(lambda a, b: inner(a, b).sum(), jnp.zeros((2, 3)), jnp.zeros((3, 4))) == 24


@pytest.mark.parametrize(
  ('function', 'products'),
  [
    (lambda x: jax.lax.scan(lambda c, _: (c @ c, None), x, None, length=10, unroll=True)[0], 10),
    (lambda x: jax.lax.fori_loop(0, 7, lambda _, c: jax.lax.fori_loop(0, 3, square, c), x), 21),
    (lambda x: jax.lax.map(lambda _: x @ x, jnp.zeros(8)), 8),
    (lambda x: jax.lax.cond(x[0, 0] > 0, lambda c: c @ c @ c, lambda c: c @ c, x), 2),
    (lambda x: jax.lax.while_loop(lambda c: c[0, 0] < 1, lambda c: c @ c, x), 1),
  ],
)
def test_a_loop_counts_its_steps_and_a_condition_its_costliest_branch(function, products):
  assert multiply_adds(function, jnp.zeros((4, 4))) == products * 4**3


def square(_, x):
  return x @ x


def test_parameters_are_counted_from_arrays_or_shapes():
  shape = jax.ShapeDtypeStruct((4,), jnp.float32)
  tree = {'a': np.zeros((2, 3)), 'b': {'c': shape}, 'd': np.ones(())}
  assert parameters(tree) == 6 + 4 + 1


def test_a_network_by_hand(teacher):
  counted = cost(teacher, (8, 8, 3))
  weights = 9 * (3 * 4 + 4 * 4 + 4 * 4 + 4 * 8 + 8 * 8 + 8 * 12 + 12 * 12) + 4 * 8 + 8 * 12
  norms = 2 * (4 + 2 * 4 + 3 * 8 + 3 * 12)
  assert counted.parameters == weights + norms + (12 + 1) * 3
  multiplied = (
    64 * 9 * (3 * 4 + 4 * 4 + 4 * 4)
    + 16 * (9 * (4 * 8 + 8 * 8) + 4 * 8)
    + 4 * (9 * (8 * 12 + 12 * 12) + 8 * 12)
    + 12 * 3
  )
  assert counted.multiply_adds == multiplied
  # Shapes will do.
  shapes = jax.eval_shape(lambda: teacher.variables)
  assert cost(Network(shapes, teacher.model), (8, 8, 3)) == counted


def test_what_is_shared_is_deployed_once_and_the_teachers_encoder_not_at_all(teacher):
  """Encoder, q projectors and the teacher's classifier, as the literature counts them."""
  student = ResNet(num_classes=3, depth=8, widths=(4, 4, 4, 4))
  distilled = Distilled(
    num_classes=3,
    student=student,
    teacher=teacher.model,
    num_projectors=3,
    hidden=6,
    integration='mean',
    target=(2, 2, 12),
    target_rectified=True,
  )
  image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)

  def of(model, method=None):
    shapes = jax.eval_shape(functools.partial(model.init, method=method), jax.random.key(0), image)
    return Network(shapes, model)

  counted = cost(of(distilled), (8, 8, 3))
  encoder = parameters(of(student, 'encode').variables['params'])
  projector = 4 * 6 + 9 * 6**2 + 6 * 12 + 4 * 6 + 2 * 12
  assert counted.parameters == encoder + 3 * projector + 12 * 3 + 3
  encoding = cost(of(student), (8, 8, 3)).multiply_adds - 4 * 3
  projecting = 3 * 2 * 2 * (4 * 6 + 9 * 6**2 + 6 * 12)
  assert counted.multiply_adds == encoding + projecting + 12 * 3


@pytest.mark.parametrize('formulation', [fastest, fastest_stacked])
def test_winograd_counts_as_the_convolution_that_it_is(formulation):
  def convolve(x, kernel):
    return formulation(x, kernel, (1, 1), SAME, **AXES)

  # 5 x 7 outputs of each of 2 images and 3 kernels, 9 taps, 32 to 40 channels; not whole tiles.
  x, kernels = jnp.zeros((2, 5, 7, 32)), jnp.zeros((3, 3, 32, 40, 3))
  counted = multiply_adds(jax.vmap(convolve, (None, -1)), x, kernels)
  assert counted == 5 * 7 * 2 * 3 * 9 * 32 * 40


def test_a_cost_reads_well():
  assert str(Cost(1234567, 89)) == '1,234,567 parameters, 89 multiply-adds'
