"""The size of steps, against a step that is computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.training import norms
from pidkd_jax.training.learner import Learner, State
from pidkd_jax.training.optimizer import RULES, Optimizer


class Method:
  """Parameters in two modules, one of which learns at its own rate."""

  def rates(self):
    return {'projectors': 0.5}


@pytest.fixture
def learner(monkeypatch):
  monkeypatch.setattr(Learner, 'bound_method', lambda self: self.method)
  optimizer = Optimizer(total_steps=10, boundaries=(2,), drop_factor=0.1, momentum=0.9)
  hparams = {'learning_rate': jnp.float32(0.2), 'weight_decay': jnp.float32(0.01)}
  return Learner(Method(), optimizer, hparams, jax.random.key(0))


def test_it_describes_the_last_step(learner):
  params = {'student': {'w': jnp.array([3.0, 4.0])}, 'projectors': {'w': jnp.array([12.0])}}
  gradients = [
    {'student': {'w': jnp.array([1.0, 2.0])}, 'projectors': {'w': jnp.array([-2.0])}},
    {'student': {'w': jnp.array([0.5, -1.0])}, 'projectors': {'w': jnp.array([4.0])}},
  ]
  transform = learner.optimizer.transform(jnp.float32(0.2), jnp.float32(0.01))
  opt_state = transform.init(params)
  for gradient in gradients:
    _, opt_state = transform.update(gradient, opt_state, params)
  state = State(params, {}, opt_state, {}, jnp.int32(-1))

  decayed = [
    np.concatenate([g['student']['w'] + 0.01 * params['student']['w'],
                    g['projectors']['w'] + 0.01 * params['projectors']['w']])
    for g in gradients
  ]  # fmt: skip
  momentum = 0.9 * decayed[0] + decayed[1]
  found = norms.measure(learner, state, 1)
  assert found['learning_rate'] == 0.2
  assert found['gradient_norm'] == pytest.approx(0.1 * np.linalg.norm(momentum))
  assert found['update_norm'] == pytest.approx(0.2 * np.linalg.norm(momentum * [1, 1, 0.5]))
  assert norms.measure(learner, state, 2)['learning_rate'] == pytest.approx(0.02)


def test_adamw_has_the_average_of_its_gradients_and_no_length_of_a_step(learner):
  learner = learner.replace(optimizer=Optimizer(10, (), 0.1, 0.9, rule='adamw'))
  params = {'student': {'w': jnp.array([3.0, 4.0])}}
  transform = learner.optimizer.transform(jnp.float32(0.2), jnp.float32(0.01))
  _, opt_state = transform.update(
    {'student': {'w': jnp.array([6.0, 8.0])}}, transform.init(params), params
  )
  found = norms.measure(learner, State(params, {}, opt_state, {}, jnp.int32(-1)), 0)
  assert found == {'learning_rate': 0.2, 'gradient_norm': pytest.approx(1.0)}


def test_what_is_not_finite_is_left_out(learner):
  params = {'student': {'w': jnp.array([jnp.inf])}}
  opt_state = learner.optimizer.transform(jnp.float32(0.2), jnp.float32(0)).init(params)
  opt_state = jax.tree.map(lambda leaf: leaf + jnp.inf, opt_state)
  found = norms.measure(learner, State(params, {}, opt_state, {}, jnp.int32(-1)), 0)
  assert list(found) == ['learning_rate']


@pytest.mark.parametrize('rule', RULES)
def test_a_parameter_may_have_any_name(learner, rule):
  """Also that of the field in which a rule keeps its moment."""
  learner = learner.replace(optimizer=Optimizer(10, (), 0.1, 0.9, rule=rule))
  found = []
  for name in ('w', RULES[rule].moment):
    params = {'student': {name: jnp.array([3.0, 4.0])}}
    transform = learner.optimizer.transform(jnp.float32(0.2), jnp.float32(0.01))
    _, opt_state = transform.update(params, transform.init(params), params)
    found.append(norms.measure(learner, State(params, {}, opt_state, {}, jnp.int32(-1)), 0))
  assert found[0] == found[1] and found[0]['gradient_norm'] > 0
