import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods, models
from pidkd_jax.nn import convolution, initializers, layers, projectors, resize


def maps(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize('size, stride', [(3, 1), (3, 2), (1, 2)])
@pytest.mark.parametrize('side', [6, 7])
def test_convolutions_are_aligned_as_in_pytorch(size, stride, side):
  """Output (i, j) reads the padded input from (stride * i, stride * j) on."""
  x, kernel = maps(1, side, side, 2), maps(size, size, 2, 3, seed=1)
  found = layers.conv(3, size, stride).apply({'params': {'kernel': kernel}}, x)
  edge = size // 2
  padded = np.pad(np.asarray(x), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
  out = (side + 2 * edge - size) // stride + 1
  expected = np.zeros((1, out, out, 3))
  for i in range(out):
    for j in range(out):
      window = padded[:, stride * i : stride * i + size, stride * j : stride * j + size]
      expected[:, i, j] = np.tensordot(window, np.asarray(kernel), axes=3)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_each_group_of_outputs_reads_its_group_of_inputs():
  x, kernel = maps(1, 2, 3, 6), maps(1, 1, 3, 4, seed=1)
  found = layers.conv(4, 1, groups=2).apply({'params': {'kernel': kernel}}, x)
  first = np.asarray(x)[..., :3] @ np.asarray(kernel)[0, 0, :, :2]
  second = np.asarray(x)[..., 3:] @ np.asarray(kernel)[0, 0, :, 2:]
  np.testing.assert_allclose(found, np.concatenate([first, second], -1), rtol=1e-5, atol=1e-6)


def test_a_padded_1x1_convolution_has_its_bias_on_the_border():
  x, kernel, bias = maps(1, 2, 3, 2), maps(1, 1, 2, 4, seed=1), maps(4, seed=2)
  made = layers.conv(4, 1, bias=True, padding=1)
  found = np.array(made.apply({'params': {'kernel': kernel, 'bias': bias}}, x))
  assert found.shape == (1, 4, 5, 4)
  inner = np.asarray(x) @ np.asarray(kernel)[0, 0] + np.asarray(bias)
  np.testing.assert_allclose(found[:, 1:-1, 1:-1], inner, rtol=1e-5, atol=1e-6)
  found[:, 1:-1, 1:-1] = bias
  np.testing.assert_array_equal(found, np.broadcast_to(bias, found.shape))


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


@pytest.mark.parametrize('case', CONV_NORMS)
def test_conv_norm_is_a_convolution_and_a_norm(case, fill):
  """By whatever formulation, of Flax's own parts."""
  made, x = layers.ConvNorm(**CONV_NORMS[case]), maps(2, 5, 5, 6)
  variables = fill(jax.eval_shape(functools.partial(initial, made), x))
  plain = nn.Conv(
    made.features,
    (made.size, made.size),
    made.stride,
    made.size // 2 if made.padding is None else made.padding,
    feature_group_count=made.groups,
    use_bias=made.bias,
  )
  assert ('bias' in variables['params']['conv']) == made.bias
  y = np.asarray(plain.apply({'params': variables['params']['conv']}, x))
  scale, bias = (variables['params']['norm'][name] for name in ('scale', 'bias'))
  mean, var = (variables['batch_stats']['norm'][name] for name in ('mean', 'var'))
  expected = (y - mean) / np.sqrt(var + 1e-5) * scale + bias
  np.testing.assert_allclose(made.apply(variables, x, train=False), expected, rtol=1e-4, atol=1e-5)
  trained, changed = made.apply(variables, x, train=True, mutable=['batch_stats'])
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
  found = layers.shuffle(x, groups)
  np.testing.assert_array_equal(found, np.asarray(x)[..., expected])
  # Channel j of group i has become channel i of group j, so as many groups as there were channels
  # in one bring it back.
  np.testing.assert_array_equal(layers.shuffle(found, 6 // groups), x)


def test_batch_norm_has_the_published_momentum_and_epsilon():
  x = maps(4, 3, 3, 2)
  norm = layers.BatchNorm()
  variables = norm.init(jax.random.key(0), x, True)
  y, changed = norm.apply(variables, x, True, mutable=['batch_stats'])
  mean, var = np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))
  np.testing.assert_allclose(changed['batch_stats']['mean'], 0.1 * mean, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(changed['batch_stats']['var'], 0.9 + 0.1 * var, rtol=1e-4)
  np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-3, atol=1e-5)


def test_initial_weights_have_the_published_spread():
  """Convolutions: He normal by fan-out. Classifier: uniform within 1 / sqrt(fan-in)."""
  kernel = layers.conv(256, 3).init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))['params']['kernel']
  np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / (9 * 256)), rtol=0.03)
  linear = layers.Classifier(50).init(jax.random.key(0), jnp.zeros((1, 64)))['params']['linear']
  for value in linear.values():
    assert np.abs(value).max() <= 1 / 8
  np.testing.assert_allclose(np.std(linear['kernel']), 1 / 8 / np.sqrt(3), rtol=0.05)


def subclasses(cls):
  found = set(cls.__subclasses__())
  return found.union(*map(subclasses, found))


def test_no_field_hides_what_every_module_has():
  """Linen would take a field called `init` without a word."""
  assert models.names() and methods.names()  # Imports them all.
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
  """PyTorch's own: of a grouped convolution the fan-in is one group's."""
  made = layers.ConvNorm(640, size, groups=groups, kernel_init=initializers.pytorch_default)
  params = initial(made, jnp.zeros((1, 4, 4, inputs)))['params']
  kernel = np.asarray(params['conv']['kernel'])
  assert kernel.shape == (size, size, inputs // groups, 640)
  assert 0.99 * fan_in**-0.5 < np.abs(kernel).max() <= fan_in**-0.5 * (1 + 1e-6)
  np.testing.assert_allclose(kernel.std(), (3 * fan_in) ** -0.5, rtol=0.03)
  assert abs(kernel.mean()) < 0.05 * kernel.std()


@pytest.mark.parametrize('groups', [4, 512])
def test_the_fan_out_of_a_grouped_convolution_is_that_of_all_groups(groups):
  """As PyTorch counts it: output channels times the kernel's area."""
  made = layers.conv(512, 3, groups=groups)
  params = made.init(jax.random.key(0), jnp.zeros((1, 4, 4, 512)))['params']
  np.testing.assert_allclose(np.std(params['kernel']), (2 / (9 * 512)) ** 0.5, rtol=0.03)


def test_biases_begin_at_zero():
  params = layers.conv(4, 1, bias=True).init(jax.random.key(0), jnp.zeros((1, 2, 2, 3)))['params']
  np.testing.assert_array_equal(params['bias'], np.zeros(4))


# --- the projector and its stack


class PlainProjector(nn.Module):
  """The projector once more, of Flax's own parts."""

  hidden: int
  features: int
  rectified: bool

  @nn.compact
  def __call__(self, x, train):
    for i, (width, size) in enumerate([(self.hidden, 1), (self.hidden, 3), (self.features, 1)]):
      x = nn.Conv(width, (size, size), use_bias=False, name=f'conv{i}')(x)
      x = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name=f'norm{i}')(
        x
      )
      x = nn.relu(x) if i < 2 or self.rectified else x
    return x


def plain_variables(stacked, i):
  """The variables of the stack's i-th projector under the names of PlainProjector."""
  return {
    collection: {
      f'{part}{n}': jax.tree.map(lambda leaf: leaf[i], tree['projectors'][layer][part])
      for n, layer in enumerate(('reduce', 'transform', 'expand'))
      for part in tree['projectors'][layer]
    }
    for collection, tree in stacked.items()
  }


def make_stack(fill, q, integration='mean', rectified=True, hidden=3):
  stack = projectors.ProjectorStack(6, q, hidden, integration, rectified)
  x = maps(4, 5, 5, 4)
  shapes = jax.eval_shape(functools.partial(stack.init, train=False), jax.random.key(0), x)
  return stack, fill(shapes), x


@pytest.mark.parametrize('train', [False, True])
@pytest.mark.parametrize('q, rectified', [(3, True), (1, True), (3, False)])
def test_the_stack_is_q_independent_projectors(fill, q, rectified, train):
  stack, variables, x = make_stack(fill, q, rectified=rectified)
  assert all(leaf.shape[0] == q for leaf in jax.tree.leaves(variables))
  run = jax.jit(
    functools.partial(stack.apply, train=train, method='outputs', mutable=['batch_stats'])
  )
  outputs, changed = run(variables, x)
  assert outputs.shape == (q, 4, 5, 5, 6)
  plain = PlainProjector(hidden=3, features=6, rectified=rectified)
  alone = jax.jit(functools.partial(plain.apply, train=train, mutable=['batch_stats']))
  for i in range(q):
    expected, statistics = alone(plain_variables(variables, i), x)
    np.testing.assert_allclose(outputs[i], expected, rtol=1e-4, atol=1e-5)
    found = plain_variables({**variables, **changed}, i)['batch_stats']
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
      found,
      statistics['batch_stats'],
    )
  assert (np.min(outputs) < 0) != rectified
  mean, _ = jax.jit(functools.partial(stack.apply, train=train, mutable=['batch_stats']))(
    variables, x
  )
  np.testing.assert_allclose(mean, np.mean(outputs, axis=0), rtol=1e-5, atol=1e-6)


def test_the_projectors_start_different():
  stack = projectors.ProjectorStack(6, 3, 3)
  params = stack.init(jax.random.key(0), maps(1, 2, 2, 4), train=False)['params']['projectors']
  for layer in ('reduce', 'transform', 'expand'):
    kernels = np.asarray(params[layer]['conv']['kernel'])
    assert not np.any(kernels[0] == kernels[1]) and not np.any(kernels[1] == kernels[2])


@pytest.mark.parametrize(
  'inputs, outputs, factor, q',
  [(256, 256, 2, 3), (256, 256, 1, 1), (64, 128, 4, 2), (5, 7, 2, 1), (5, 7, 7, 1)],
)
def test_a_projector_has_the_published_number_of_parameters(inputs, outputs, factor, q):
  m = outputs // factor
  stack = projectors.ProjectorStack(outputs, q, m)
  shapes = jax.eval_shape(
    functools.partial(stack.init, train=False), jax.random.key(0), jnp.zeros((1, 2, 2, inputs))
  )
  expected = inputs * m + 9 * m**2 + m * outputs + 4 * m + 2 * outputs
  assert sum(leaf.size for leaf in jax.tree.leaves(shapes['params'])) == q * expected


def test_learned_integration_begins_as_the_mean(fill):
  stack, variables, x = make_stack(fill, 3, 'learned')
  variables['params']['integrate']['logits'] = jnp.zeros(3)
  mean = projectors.ProjectorStack(6, 3, 3)
  alone = {name: {'projectors': tree['projectors']} for name, tree in variables.items()}
  np.testing.assert_allclose(
    stack.apply(variables, x, train=False), mean.apply(alone, x, train=False), rtol=1e-5
  )
  initial = projectors.Convex().init(jax.random.key(0), jnp.zeros((3, 1)))
  np.testing.assert_array_equal(initial['params']['logits'], np.zeros(3))


def test_learned_integration_is_convex_and_learns():
  outputs = jnp.array([[1.0], [2.0], [5.0]])
  variables = {'params': {'logits': jnp.log(jnp.array([2.0, 1.0, 1.0]))}}
  convex = projectors.Convex()
  np.testing.assert_allclose(convex.apply(variables, outputs), [0.5 + 0.5 + 1.25], rtol=1e-6)
  np.testing.assert_allclose(convex.apply(variables, jnp.ones((3, 1))), [1.0], rtol=1e-6)
  gradient = jax.grad(lambda v: convex.apply(v, outputs)[0])(variables)['params']['logits']
  # d/dlogit_i of sum_i w_i x_i is w_i (x_i - mean).
  np.testing.assert_allclose(gradient, [0.5 * -1.25, 0.25 * -0.25, 0.25 * 2.75], rtol=1e-5)


def test_learned_integration_of_one_projector_has_nothing_to_learn():
  outputs = maps(1, 2, 3)
  assert not jax.tree.leaves(projectors.Convex().init(jax.random.key(0), outputs))
  np.testing.assert_array_equal(projectors.Convex().apply({}, outputs), outputs[0])


# --- resolution


def test_average_to_shares_a_cell_by_area():
  x = jnp.array([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
  found = resize.average_to(x, (2, 1)).ravel()
  np.testing.assert_allclose(found, [(1 + 2 / 2) / 1.5, (2 / 2 + 4) / 1.5], rtol=1e-6)


@pytest.mark.parametrize(
  'size_in, size_out',
  [((8, 8), (4, 4)), ((9, 9), (8, 8)), ((17, 17), (4, 4)), ((9, 6), (4, 5)), ((7, 3), (1, 3))],
)
def test_average_to_keeps_the_spatial_mean(size_in, size_out):
  x = maps(2, *size_in, 3) * jnp.array([1.0, 10.0, 100.0])
  found = resize.average_to(x, size_out)
  assert found.shape == (2, *size_out, 3)
  np.testing.assert_allclose(
    np.mean(np.asarray(found, np.float64), axis=(1, 2)),
    np.mean(np.asarray(x, np.float64), axis=(1, 2)),
    rtol=1e-4,
    atol=1e-6,
  )
  np.testing.assert_allclose(resize.average_to(jnp.ones_like(x), size_out), 1, rtol=1e-6)


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
