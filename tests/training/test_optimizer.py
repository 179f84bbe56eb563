"""The optimizer: PyTorch's SGD and other rules, and the schedules of the learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe


def test_it_is_the_sgd_of_pytorch():
  """d = g + decay * p; v = momentum * v + d; p -= rate * v, so a drop scales all of v."""
  sgd = Optimizer(total_steps=6, boundaries=(3,), drop_factor=0.1, momentum=0.9)
  curvature, decay, rate = np.array([1.0, 5.0]), 0.01, 0.05
  p = np.array([2.0, -3.0])
  v = np.zeros(2)
  params = jnp.asarray(p, jnp.float32)
  state = sgd.transform(rate, decay).init(params)
  for step in range(6):
    d = curvature * p + decay * p
    v = 0.9 * v + d
    p = p - (rate if step < 3 else rate * 0.1) * v
    transform = sgd.transform(rate * sgd.rate(jnp.int32(step)), jnp.float32(decay))
    change, state = transform.update(jnp.asarray(curvature, jnp.float32) * params, state, params)
    params = optax.apply_updates(params, change)
    np.testing.assert_allclose(params, p, rtol=1e-5)


def _steps(optimizer, rate, decay, gradients, params):
  """Return the parameters after each gradient, as `update` moves them."""
  state = optimizer.transform(jnp.float32(rate), jnp.float32(decay)).init(params)
  after = []
  for step, gradient in enumerate(gradients):
    transform = optimizer.transform(rate * optimizer.rate(jnp.int32(step)), jnp.float32(decay))
    change, state = transform.update(jnp.asarray(gradient, jnp.float32), state, params)
    params = optax.apply_updates(params, change)
    after.append(params)
  return after


def test_nesterov_is_that_of_pytorch():
  """d = g + decay * p; v = momentum * v + d; p -= rate * (d + momentum * v)."""
  p, v, rate, decay = np.array([2.0, -3.0]), np.zeros(2), 0.05, 0.01
  gradients = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.0]])
  optimizer = Optimizer(9, (), 0.1, 0.9, rule='nesterov')
  for found, g in zip(
    _steps(optimizer, rate, decay, gradients, jnp.array(p, jnp.float32)), gradients
  ):
    d = g + decay * p
    v = 0.9 * v + d
    p = p - rate * (d + 0.9 * v)
    np.testing.assert_allclose(found, p, rtol=1e-5)


def test_adamw_takes_the_decay_from_the_parameters():
  """p -= rate * (m / (sqrt(v) + 1e-8) + decay * p), both moments without bias."""
  p, m, v, rate, decay = np.array([2.0, -3.0]), np.zeros(2), np.zeros(2), 0.01, 0.1
  gradients = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.25]])
  optimizer = Optimizer(9, (), 0.1, 0.8, rule='adamw')
  moved = _steps(optimizer, rate, decay, gradients, jnp.array(p, jnp.float32))
  for step, (found, g) in enumerate(zip(moved, gradients, strict=True), start=1):
    m = 0.8 * m + 0.2 * g
    v = 0.999 * v + 0.001 * g**2
    mean, square = m / (1 - 0.8**step), v / (1 - 0.999**step)
    p = p - rate * (mean / (np.sqrt(square) + 1e-8) + decay * p)
    np.testing.assert_allclose(found, p, rtol=1e-5)


def test_a_long_gradient_is_clipped_before_the_decay():
  optimizer = Optimizer(9, (), 0.1, 0.0, clip_norm=2.5)
  [p] = _steps(optimizer, 1.0, 0.5, [[3.0, 4.0]], jnp.array([1.0, -1.0]))
  np.testing.assert_allclose(p, [1 - (1.5 + 0.5), -1 - (2.0 - 0.5)], rtol=1e-6)
  [p] = _steps(optimizer, 1.0, 0.0, [[0.3, 0.4]], jnp.zeros(2))
  np.testing.assert_allclose(p, [-0.3, -0.4], rtol=1e-6)


def test_the_published_state_is_as_before():
  """Checkpoints of older versions hold this state."""
  state = Optimizer(3, (), 0.1, 0.9).transform(0.1, 0.0).init(jnp.zeros(2))
  assert [type(part) for part in state] == [optax.EmptyState, optax.TraceState, optax.EmptyState]


def test_the_cosine_falls_from_the_full_rate_after_the_warm_up():
  recipe = Recipe(total_epochs=6, batch_size=2, schedule='cosine', warmup=1 / 3)
  optimizer = Optimizer.from_recipe(recipe, 4)
  assert (optimizer.total_steps, optimizer.warmup_steps) == (12, 4)
  falling = [(1 + np.cos(np.pi * step / 8)) / 2 for step in range(8)]
  rates = jax.vmap(optimizer.rate)(jnp.arange(12))
  np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, *falling], rtol=1e-5)


def test_drops_after_a_warm_up_fall_on_their_own_steps():
  recipe = Recipe(total_epochs=8, batch_size=1, drops=(0.5,), warmup=0.25)
  rates = jax.vmap(Optimizer.from_recipe(recipe, 1).rate)(jnp.arange(8))
  np.testing.assert_allclose(rates, [1 / 3, 2 / 3, 1, 1, 0.1, 0.1, 0.1, 0.1], rtol=1e-5)


def test_the_shortest_training_has_a_warm_up_and_a_schedule():
  recipe = Recipe(total_epochs=1, batch_size=1, schedule='cosine', warmup=0.99)
  rates = jax.vmap(Optimizer.from_recipe(recipe, 2).rate)(jnp.arange(2))
  np.testing.assert_allclose(rates, [0.5, 1])


@pytest.mark.parametrize('field', ['optimizer', 'schedule'])
def test_an_unknown_name_is_refused(field):
  with pytest.raises(UserError, match=f"unknown {field} 'adam'"):
    Optimizer.from_recipe(Recipe(batch_size=1, **{field: 'adam'}), 2)


def test_the_published_recipe_drops_after_150_180_and_210_epochs():
  optimizer = Optimizer.from_recipe(Recipe(), 50_000)
  assert optimizer.total_steps == 240 * 781
  rates = jax.vmap(optimizer.rate)
  for epochs, before, after in ((150, 1, 0.1), (180, 0.1, 0.01), (210, 0.01, 0.001)):
    first = epochs * 781  # The first step of the next epoch, counted from 0.
    np.testing.assert_allclose(rates(jnp.array([first - 1, first])), [before, after], rtol=1e-5)
  np.testing.assert_allclose(rates(jnp.array([0, 240 * 781 - 1])), [1, 0.001], rtol=1e-5)


def test_two_drops_on_one_step_both_count():
  optimizer = Optimizer.from_recipe(Recipe(total_epochs=1, batch_size=4, drops=(0.5, 0.55, 1.0)), 8)
  assert (optimizer.total_steps, optimizer.boundaries) == (2, (1, 1, 2))
  np.testing.assert_allclose(jax.vmap(optimizer.rate)(jnp.arange(2)), [1, 0.01], rtol=1e-5)


def test_without_drops_the_rate_is_constant():
  optimizer = Optimizer.from_recipe(Recipe(drops=()), 640)
  np.testing.assert_array_equal(jax.vmap(optimizer.rate)(jnp.array([0, 2399])), [1, 1])


def test_the_defaults_are_the_published_values():
  assert Recipe() == Recipe(240, 64, 0.9, (150 / 240, 180 / 240, 210 / 240), 0.1)
  assert OptimizerHparams() == OptimizerHparams(0.05, 5e-4)


def test_an_epoch_has_only_full_batches():
  assert Recipe(batch_size=4).steps_per_epoch(11) == 2
  assert Recipe(batch_size=11).steps_per_epoch(11) == 1


@pytest.mark.parametrize('batch_size', [0, -1, 12])
def test_a_batch_that_the_split_cannot_fill_is_refused(batch_size):
  with pytest.raises(UserError, match=f'batch_size is {batch_size}; .* 11 images allows 1 to 11'):
    Recipe(batch_size=batch_size).steps_per_epoch(11)


def test_a_drop_falls_on_the_nearest_step():
  optimizer = Optimizer.from_recipe(Recipe(total_epochs=20, batch_size=8, drops=(0.39, 0.875)), 8)
  assert (optimizer.total_steps, optimizer.boundaries) == (20, (8, 18))  # Of 7.8 and 17.5.
