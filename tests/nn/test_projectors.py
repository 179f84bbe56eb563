"""The stack against projectors of Flax's own layers, and its integrations by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.nn import projectors
from tests.nn.maps import maps


class PlainProjector(nn.Module):
  """The same projector, built from Flax's own layers."""

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
  """Return the variables of the stack's i-th projector under the names of PlainProjector."""
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


@pytest.mark.parametrize(
  'q, rectified, train', [(3, True, False), (3, False, True), (1, True, True)]
)
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
    updated = plain_variables({**variables, **changed}, i)['batch_stats']
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
      updated,
      statistics['batch_stats'],
    )
  assert (np.min(outputs) < 0) != rectified
  mean, _ = jax.jit(functools.partial(stack.apply, train=train, mutable=['batch_stats']))(
    variables, x
  )
  np.testing.assert_allclose(mean, np.mean(outputs, axis=0), rtol=1e-5, atol=1e-6)


def test_the_projectors_start_from_different_weights():
  stack = projectors.ProjectorStack(6, 3, 3)
  init = jax.jit(functools.partial(stack.init, train=False))
  params = init(jax.random.key(0), maps(1, 2, 2, 4))['params']['projectors']
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


def test_learned_integration_starts_at_the_mean(fill):
  stack, variables, x = make_stack(fill, 3, 'learned')
  variables['params']['integrate']['logits'] = jnp.zeros(3)
  mean = projectors.ProjectorStack(6, 3, 3)
  alone = {name: {'projectors': tree['projectors']} for name, tree in variables.items()}
  learned, average = (jax.jit(functools.partial(one.apply, train=False)) for one in (stack, mean))
  np.testing.assert_allclose(learned(variables, x), average(alone, x), rtol=1e-5)
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


@pytest.mark.parametrize('integration', projectors.INTEGRATIONS)
def test_integration_of_bfloat16_is_exact_to_float32(integration):
  """In bfloat16 a mean of three would be off by up to 1/256 of its value."""
  outputs = maps(3, 4, 5, 6).astype(jnp.bfloat16)
  module = projectors.INTEGRATIONS[integration]()
  mean = module.apply(module.init(jax.random.key(0), outputs), outputs)
  assert mean.dtype == jnp.float32
  np.testing.assert_allclose(
    mean, np.mean(np.asarray(outputs, np.float64), axis=0), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize('make', [projectors.Projector, projectors.ProjectorStack])
def test_kernels_start_as_pytorchs(make):
  """SimKD's module has PyTorch's default, of variance 1 / (3 fan_in)."""
  module = make(features=64, hidden=32)
  params = jax.jit(module.init)(jax.random.key(0), maps(1, 2, 2, 48))['params']
  params = params.get('projectors', params)
  for layer, fan_in in {'reduce': 48, 'transform': 9 * 32, 'expand': 32}.items():
    kernel = params[layer]['conv']['kernel']
    np.testing.assert_allclose(np.std(kernel), np.sqrt(1 / (3 * fan_in)), rtol=0.05)
