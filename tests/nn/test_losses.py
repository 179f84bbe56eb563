"""Losses against formulas computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.nn import losses


def test_cross_entropy_by_hand():
  logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
  loss = losses.cross_entropy(logits, jnp.array([0, 1]))
  np.testing.assert_allclose(loss, [np.log(2), np.log(5)], rtol=1e-6)


def test_soft_targets_by_hand():
  # At temperature 2 the student predicts (1/2, 1/2), the teacher (3/4, 1/4).
  student = jnp.zeros((1, 2))
  teacher = 2 * jnp.log(jnp.array([[3.0, 1.0]]))
  divergence = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
  np.testing.assert_allclose(
    losses.soft_targets(student, teacher, 2.0), [4 * divergence], rtol=1e-6
  )
  backward = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
  np.testing.assert_allclose(losses.soft_targets(teacher, student, 2.0), [4 * backward], rtol=1e-6)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_soft_targets_are_zero_at_equal_predictions_and_nowhere_negative(temperature):
  logits = jnp.asarray(np.random.default_rng(0).normal(size=(5, 7)), jnp.float32)
  np.testing.assert_allclose(losses.soft_targets(logits, logits, temperature), 0, atol=1e-6)
  # A shift of the logits changes no prediction.
  np.testing.assert_allclose(losses.soft_targets(logits + 3, logits, temperature), 0, atol=1e-5)
  assert np.all(losses.soft_targets(logits[::-1], logits, temperature)[:2] > 0)


def test_soft_targets_at_a_high_temperature_are_half_the_variance_of_the_logits_difference():
  """The temperature's square keeps the size of the gradients (Hinton et al. 2015, Sec. 2.1)."""
  rng = np.random.default_rng(1)
  student, teacher = rng.normal(size=(2, 3, 5)).astype(np.float32)
  expected = np.var(teacher - student, axis=1) / 2
  loss = losses.soft_targets(jnp.asarray(student), jnp.asarray(teacher), 50.0)
  np.testing.assert_allclose(loss, expected, rtol=0.1)


def test_the_public_signature_of_soft_targets():
  student, teacher = jnp.zeros((3, 2)), jnp.array([[1.0, 0.0]] * 3)
  loss = losses.soft_targets(student_logits=student, teacher_logits=teacher)
  assert loss.shape == (3,)
  np.testing.assert_array_equal(loss, losses.soft_targets(student, teacher, temperature=4.0))


@pytest.mark.parametrize('num_classes', [1, 2])
def test_logits_of_fewer_than_three_classes_are_not_standardized(num_classes):
  with pytest.raises(UserError, match=f'there are {num_classes} classes, whose .* kd_01_09'):
    losses.standardize(jnp.zeros((4, num_classes)))


@pytest.mark.parametrize('size', [1e2, 1e4, 1e30])
def test_gradients_are_finite_at_extreme_logits(size):
  logits = jnp.array([[size, -size, 0.0]])
  other = jnp.array([[-size, size, 0.0]])
  for loss in (
    lambda x: losses.soft_targets(x, other, 4.0).sum(),
    lambda x: losses.cross_entropy(x, jnp.array([1])).sum(),
  ):
    value, gradient = jax.value_and_grad(loss)(logits)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_a_warm_up_rises_to_one_and_stays():
  factors = [float(losses.warm_up(jnp.float32(x), 0.2)) for x in (0.05, 0.1, 0.2, 0.7, 1.0)]
  np.testing.assert_allclose(factors, [0.25, 0.5, 1, 1, 1], rtol=1e-6)
  # Without a warm-up the factor is 1 from the first step on.
  assert float(losses.warm_up(jnp.float32(1e-6), 0.0)) == 1


def test_mean_squared_error_averages_all_but_the_batch():
  prediction = jnp.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
  target = jnp.array([[[1.0, 0.0], [0.0, 4.0]], [[2.0, 2.0], [2.0, 2.0]]])
  np.testing.assert_allclose(losses.mean_squared_error(prediction, target), [(4 + 9) / 4, 4.0])
