"""The moving average of the weights, against one that is computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

MEMBER = Member('scratch', 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(0.05, 0.0), 0)


def test_the_average_is_evaluated_and_the_training_is_as_without_it(assemble, batches):
  decay = 0.75
  cohort = assemble(MEMBER, optimizer=Optimizer(3, (6, 9), 0.1, 0.9, ema=decay))
  plain = assemble(MEMBER)
  states, without = cohort.init(batches[0]), plain.init(batches[0])
  [learner] = cohort.learners
  seen = []
  for step in range(3):
    states = cohort.step(states, batches[step], jnp.int32(step))
    without = plain.step(without, batches[step], jnp.int32(step))
    seen.append(jax.tree.map(np.array, states['scratch-0'].variables))
    # Weights 1 - d, d (1 - d), ... of the latest, the one before ..., divided by their sum.
    weights = decay ** np.arange(step + 1)[::-1]
    expected = jax.tree.map(lambda *x: np.average(x, axis=0, weights=weights), *seen)
    found = learner.evaluated(states['scratch-0'])
    assert found.keys() == expected.keys() == {'params', 'batch_stats'}
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6), found, expected
    )
  state, other = states['scratch-0'], without['scratch-0']
  jax.tree.map(np.testing.assert_array_equal, state.variables, other.variables)
  assert other.average is None and plain.learners[0].evaluated(other) == other.variables


def test_an_average_of_equal_weights_is_these_at_any_decay(assemble, batches):
  for decay in (0.9999, 0.999999):
    optimizer = Optimizer(3, (6, 9), 0.1, 0.9, ema=decay)
    [learner] = assemble(MEMBER, optimizer=optimizer).learners
    state = assemble(MEMBER, optimizer=optimizer).init(batches[0])['scratch-0']
    for _ in range(3):
      state = state.replace(average=learner.averaged(state))
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), learner.evaluated(state),
      {name: state.variables[name] for name in ('params', 'batch_stats')},
    )  # fmt: skip
