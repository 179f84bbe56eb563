"""The optimizer: PyTorch's SGD, and the published drops of the learning rate."""

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
