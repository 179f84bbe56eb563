"""Layers against their definitions, and against Flax's own layers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods, models
from pidkd_jax.nn import convolution, initializers, layers
from tests.nn.maps import maps


@pytest.mark.parametrize('size, stride', [(3, 1), (3, 2), (1, 2)])
@pytest.mark.parametrize('side', [6, 7])
def test_convolutions_are_aligned_as_in_pytorch(size, stride, side):
  """The window of output (i, j) starts at (stride * i, stride * j) in the padded input."""
  x, kernel = maps(1, side, side, 2), maps(size, size, 2, 3, seed=1)
  result = layers.conv(3, size, stride).apply({'params': {'kernel': kernel}}, x)
  edge = size // 2
  padded = np.pad(np.asarray(x), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
  out = (side + 2 * edge - size) // stride + 1
  expected = np.zeros((1, out, out, 3))
  for i in range(out):
    for j in range(out):
      window = padded[:, stride * i : stride * i + size, stride * j : stride * j + size]
      expected[:, i, j] = np.tensordot(window, np.asarray(kernel), axes=3)
  np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_each_group_of_outputs_reads_its_group_of_inputs():
  x, kernel = maps(1, 2, 3, 6), maps(1, 1, 3, 4, seed=1)
  result = layers.conv(4, 1, groups=2).apply({'params': {'kernel': kernel}}, x)
  first = np.asarray(x)[..., :3] @ np.asarray(kernel)[0, 0, :, :2]
  second = np.asarray(x)[..., 3:] @ np.asarray(kernel)[0, 0, :, 2:]
  np.testing.assert_allclose(result, np.concatenate([first, second], -1), rtol=1e-5, atol=1e-6)


def test_a_padded_1x1_convolution_has_its_bias_on_the_border():
  x, kernel, bias = maps(1, 2, 3, 2), maps(1, 1, 2, 4, seed=1), maps(4, seed=2)
  layer = layers.conv(4, 1, bias=True, padding=1)
  result = np.array(layer.apply({'params': {'kernel': kernel, 'bias': bias}}, x))
  assert result.shape == (1, 4, 5, 4)
  inner = np.asarray(x) @ np.asarray(kernel)[0, 0] + np.asarray(bias)
  np.testing.assert_allclose(result[:, 1:-1, 1:-1], inner, rtol=1e-5, atol=1e-6)
  result[:, 1:-1, 1:-1] = bias
  np.testing.assert_array_equal(result, np.broadcast_to(bias, result.shape))


def initial(conv_norm, x):
  return conv_norm.init_with_output(jax.random.key(0), x, train=False)[1]


CONV_NORMS = {
  'plain': dict(features=4, size=3),
  'strided, with bias': dict(features=4, size=3, stride=2, bias=True),
  'padded': dict(features=4, size=1, padding=1, bias=True),
  'grouped': dict(features=9, size=1, groups=3, convolution=convolution.grouped_by_dot),
  'depthwise': dict(
    features=6, size=3, stride=2, groups=6, convolution=convolution.depthwise_by_shift
  ),
}


@pytest.mark.parametrize('side, before', [(6, 1), (7, 2)])
def test_padding_and_epsilon_may_be_those_of_tensorflow(side, before, fill):
  """A 5x5 kernel of stride 2 lacks 3 rows of 6, or 4 of 7; the odd one lies below."""
  settings = dict(features=6, size=5, stride=2, groups=6, epsilon=1e-3)
  x = maps(2, side, side, 6)
  layer = layers.ConvNorm(padding='SAME', convolution=convolution.depthwise_by_shift, **settings)
  variables = fill(jax.eval_shape(functools.partial(initial, layer), x))
  variables['batch_stats']['norm']['var'] *= 1e-3
  y = layer.apply(variables, x, train=False)
  same = layers.ConvNorm(padding='SAME', convolution=jax.lax.conv_general_dilated, **settings)
  np.testing.assert_allclose(y, same.apply(variables, x, train=False), rtol=1e-4, atol=1e-4)
  kernel = variables['params']['conv']['kernel']
  corner = np.sum(x[:, : 5 - before, : 5 - before] * kernel[before:, before:, 0], axis=(1, 2))
  scale, bias = (variables['params']['norm'][name] for name in ('scale', 'bias'))
  mean, var = (variables['batch_stats']['norm'][name] for name in ('mean', 'var'))
  expected = (corner - mean) / np.sqrt(var + 1e-3) * scale + bias
  np.testing.assert_allclose(y[:, 0, 0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('case', CONV_NORMS)
def test_conv_norm_is_a_convolution_and_a_norm(case, fill):
  """In every formulation, ConvNorm equals Flax's convolution and the formula of BatchNorm."""
  layer, x = layers.ConvNorm(**CONV_NORMS[case]), maps(2, 5, 5, 6)
  variables = fill(jax.eval_shape(functools.partial(initial, layer), x))
  plain = nn.Conv(
    layer.features,
    (layer.size, layer.size),
    layer.stride,
    layer.size // 2 if layer.padding is None else layer.padding,
    feature_group_count=layer.groups,
    use_bias=layer.bias,
  )
  assert ('bias' in variables['params']['conv']) == layer.bias
  y = np.asarray(plain.apply({'params': variables['params']['conv']}, x))
  scale, bias = (variables['params']['norm'][name] for name in ('scale', 'bias'))
  mean, var = (variables['batch_stats']['norm'][name] for name in ('mean', 'var'))
  expected = (y - mean) / np.sqrt(var + 1e-5) * scale + bias
  np.testing.assert_allclose(layer.apply(variables, x, train=False), expected, rtol=1e-4, atol=1e-5)
  trained, changed = layer.apply(variables, x, train=True, mutable=['batch_stats'])
  mean, var = y.mean((0, 1, 2)), y.var((0, 1, 2))
  expected = (y - mean) / np.sqrt(var + 1e-5) * scale + bias
  np.testing.assert_allclose(trained, expected, rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(
    changed['batch_stats']['norm']['mean'],
    0.9 * variables['batch_stats']['norm']['mean'] + 0.1 * mean,
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.parametrize(
  'groups, expected', [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 3, 1, 4, 2, 5]), (3, [0, 2, 4, 1, 3, 5])]
)
def test_shuffle_takes_a_channel_of_each_group_in_turn(groups, expected):
  x = jnp.broadcast_to(jnp.arange(6.0), (2, 3, 4, 6)) + 10 * maps(2, 3, 4, 1)
  result = layers.shuffle(x, groups)
  np.testing.assert_array_equal(result, np.asarray(x)[..., expected])
  # Channel j of group i is now channel i of group j. A shuffle by the size of a group undoes it.
  np.testing.assert_array_equal(layers.shuffle(result, 6 // groups), x)


def test_initial_weights_have_the_published_spread():
  """Convolutions are He normal by fan-out, a classifier is uniform within 1 / sqrt(fan-in)."""
  kernel = layers.conv(256, 3).init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))['params']['kernel']
  np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / (9 * 256)), rtol=0.03)
  linear = layers.Classifier(50).init(jax.random.key(0), jnp.zeros((1, 64)))['params']['linear']
  for value in linear.values():
    assert np.abs(value).max() <= 1 / 8
  np.testing.assert_allclose(np.std(linear['kernel']), 1 / 8 / np.sqrt(3), rtol=0.05)


def subclasses(cls):
  children = set(cls.__subclasses__())
  return children.union(*map(subclasses, children))


def test_no_field_hides_an_attribute_of_every_module():
  """Linen accepts a field called `init` without an error."""
  assert models.names() and methods.names()  # This imports all of them.
  ours = [cls for cls in subclasses(nn.Module) if cls.__module__.startswith('pidkd_jax.')]
  assert layers.ConvNorm in ours
  hidden = {
    f'{cls.__name__}.{field.name}'
    for cls in ours
    for field in dataclasses.fields(cls)
    if hasattr(nn.Module, field.name) and field.name not in ('parent', 'name')
  }
  assert not hidden


@pytest.mark.parametrize(
  'size, groups, inputs, fan_in', [(3, 1, 8, 72), (1, 4, 64, 16), (3, 64, 64, 9)]
)
def test_uniform_initial_weights_lie_within_the_root_of_the_fan_in(size, groups, inputs, fan_in):
  """As in PyTorch, the fan-in of a grouped convolution is that of one group."""
  layer = layers.ConvNorm(640, size, groups=groups, kernel_init=initializers.pytorch_default)
  params = initial(layer, jnp.zeros((1, 4, 4, inputs)))['params']
  kernel = np.asarray(params['conv']['kernel'])
  assert kernel.shape == (size, size, inputs // groups, 640)
  assert 0.99 * fan_in**-0.5 < np.abs(kernel).max() <= fan_in**-0.5 * (1 + 1e-6)
  np.testing.assert_allclose(kernel.std(), (3 * fan_in) ** -0.5, rtol=0.03)
  assert abs(kernel.mean()) < 0.05 * kernel.std()


@pytest.mark.parametrize('groups', [4, 512])
def test_the_fan_out_of_a_grouped_convolution_is_that_of_all_groups(groups):
  """PyTorch counts output channels times the kernel's area."""
  layer = layers.conv(512, 3, groups=groups)
  params = layer.init(jax.random.key(0), jnp.zeros((1, 4, 4, 512)))['params']
  np.testing.assert_allclose(np.std(params['kernel']), (2 / (9 * 512)) ** 0.5, rtol=0.03)


def test_biases_start_at_zero():
  params = layers.conv(4, 1, bias=True).init(jax.random.key(0), jnp.zeros((1, 2, 2, 3)))['params']
  np.testing.assert_array_equal(params['bias'], np.zeros(4))
