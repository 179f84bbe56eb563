"""BatchNorm against its definition and against Flax's, in both forms of its sums."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax.nn import batch_norm
from pidkd_jax.nn.batch_norm import BatchNorm
from tests.nn.maps import maps

# Rows in one group, in groups that fit, in groups whose last is not full, and one row.
SHAPES = [(5, 3, 3, 4), (16, 12, 8, 3), (3, 19, 23, 2), (1, 1, 1, 3)]


@pytest.fixture
def staged(monkeypatch):
  """Sum as on a GPU."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')


def test_it_has_the_published_momentum_and_epsilon():
  x = maps(4, 3, 3, 2)
  norm = BatchNorm()
  variables = norm.init(jax.random.key(0), x, True)
  y, changed = norm.apply(variables, x, True, mutable=['batch_stats'])
  mean, var = np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))
  np.testing.assert_allclose(changed['batch_stats']['mean'], 0.1 * mean, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(changed['batch_stats']['var'], 0.9 + 0.1 * var, rtol=1e-4)
  np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-3, atol=1e-5)


def test_it_adds_its_epsilon_to_the_variance():
  x = 3e-3 * maps(4, 3, 3, 2)  # Its variance is near 1e-5.
  variables = BatchNorm().init(jax.random.key(0), x, True)
  y, _ = BatchNorm().apply(variables, x, True, mutable=['batch_stats'])
  mean, var = np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))
  np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-3, atol=1e-4)


def drawn(shape, dtype):
  """Return variables, a stack of two batches, and the weights of a loss."""
  wide = jnp.promote_types(dtype, jnp.float32)
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(1, 2, (2, *shape)), dtype)
  a, b, c, d = jnp.asarray(rng.uniform(0.5, 2, (4, shape[-1])), wide)
  variables = {'params': {'scale': a, 'bias': b}, 'batch_stats': {'mean': c, 'var': d}}
  return variables, x, jnp.asarray(rng.normal(size=shape), wide)


def ours(variables, x, train):
  return BatchNorm().apply(variables, x, train, mutable=['batch_stats'])


def flaxs(variables, x, train):
  """Compute in the wide type throughout, and round values and gradients once."""
  norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  y, changed = norm.apply(variables, wide, mutable=['batch_stats'])
  return y.astype(x.dtype), changed


def gradients(norm, train, weights):
  """Return a function to the gradients of a loss that also reads the running statistics."""

  def loss(variables, x):
    y, changed = norm(variables, x, train)
    read = sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(changed))
    # A mean, so that sums of any length round alike.
    return jnp.mean(jnp.sin(y.astype(weights.dtype)) * weights) + read, (y, changed)

  return jax.grad(loss, argnums=(0, 1), has_aux=True)


def assert_equal(found, expected, tolerance):
  """Compare two trees; a value may be off by a share of its array's largest."""

  def compare(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * (np.abs(b).max() + 1e-3))

  jax.tree.map(compare, found, expected)


TOLERANCES = {'float32': 2e-5, 'float64': 1e-12, 'bfloat16': 2**-7}
CASES = [*(('float64', shape) for shape in SHAPES), ('float32', SHAPES[2]), ('bfloat16', SHAPES[1])]


@pytest.mark.parametrize('dtype, shape', CASES)
def test_it_is_flaxs_on_a_gpu(dtype, shape, staged):
  """Values, gradients and running statistics, of one batch and of a stack under vmap."""
  check(dtype, shape, True)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('train', [True, False])
def test_it_is_flaxs_elsewhere(dtype, train):
  check(dtype, SHAPES[0], train)


def check(dtype, shape, train):
  with jax.enable_x64(dtype == 'float64'):
    variables, x, weights = drawn(shape, dtype)

    @functools.partial(jax.jit, static_argnums=0)
    def results(norm):
      gradient = gradients(norm, train, weights)
      return gradient(variables, x[0]), jax.vmap(gradient, in_axes=(None, 0))(variables, x)

    assert_equal(results(ours), results(flaxs), TOLERANCES[dtype])


@pytest.mark.parametrize('shape', SHAPES[:3])
def test_derivatives_of_every_mode_and_order(shape, staged):
  """Forward mode, and the gradient of a gradient's length."""
  with jax.enable_x64(True):
    variables, x, weights = drawn(shape, 'float64')

    @functools.partial(jax.jit, static_argnums=0)
    def results(norm):
      gradient = gradients(norm, True, weights)

      def length(x):
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient(variables, x)[0]))

      forward = jax.jvp(lambda x: norm(variables, x, True), (x[0],), (x[1],))
      return forward, jax.grad(length)(x[0])

    assert_equal(results(ours), results(flaxs), 1e-10)


def test_a_variance_that_rounding_makes_negative_stays_zero():
  """There the norm is a shift by the mean and a factor, and so is its gradient."""
  x, weights = 1000 + 1e-3 * maps(8, 64), maps(8, 64, seed=1)

  def loss(x):
    y, _, variance = batch_norm.normalize_batch(x, jnp.ones(64), jnp.zeros(64), 1e-5, None)
    return jnp.sum(y * weights), variance

  gradient, variance = jax.grad(loss, has_aux=True)(x)
  zero = np.flatnonzero(variance == 0)
  assert 0 < len(zero) < 64
  expected = (weights - np.mean(weights, axis=0)) * 1e-5**-0.5
  np.testing.assert_allclose(gradient[:, zero], expected[:, zero], rtol=1e-3, atol=1e-2)


def barriers(shape):
  """Count the barriers of a norm's gradient."""
  norm = BatchNorm()
  variables = norm.init(jax.random.key(0), jnp.zeros(shape), train=False)

  def loss(params, x):
    both = variables | {'params': params}
    return jnp.sum(norm.apply(both, x, train=True, mutable=['batch_stats'])[0])

  program = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(variables['params'], jnp.zeros(shape))
  return program.as_text().count('stablehlo.optimization_barrier')


def test_only_a_gpu_sums_many_rows_in_two_stages(monkeypatch):
  """Its gradient has two pairs of sums, each with one barrier between its stages."""
  few, many = (4, 16, 16, 2), (5, 16, 16, 2)
  assert barriers(many) == 0
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert barriers(few) == 0
  assert barriers(many) == 2


@pytest.mark.parametrize(
  'rows, sums', [(1024, [1024]), (1025, [64, 17]), (65536, [64, 1024]), (65537, [65, 1009])]
)
def test_no_stage_is_longer_than_1024_rows(rows, sums):
  """Up to a million rows; every row counts once."""

  def sums_of(x):
    return batch_norm._sums(x, x, shares=1)

  x = jnp.ones((rows, 2))
  reduced = [
    equation.invars[0].aval.shape[axis]
    for equation in jax.make_jaxpr(sums_of)(x).eqns
    if equation.primitive.name == 'reduce_sum'
    for axis in equation.params['axes']
  ]
  assert {1, *reduced} == {1, *sums}
  for total in sums_of(x):
    np.testing.assert_array_equal(total, [rows, rows])
