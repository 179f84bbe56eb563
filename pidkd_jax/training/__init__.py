"""Train cohorts: learners in lock step on the same batches.

The pure functions of one step are public, to be jitted, scanned, vmapped and differentiated:

    view = kd.training.observe(teacher, batch)
    state = kd.training.init(learner, batch, teacher)
    state = kd.training.update(learner, state, batch, view, step)
    value, (terms, collections) = kd.training.loss(
      learner, state.params, state.collections, batch, view, step
    )
"""

from pidkd_jax.training.cohort import Cohort, assemble
from pidkd_jax.training.learner import Learner, State
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from pidkd_jax.training.step import init, loss, observe, update

__all__ = [
  'Cohort',
  'Learner',
  'Member',
  'Optimizer',
  'OptimizerHparams',
  'Recipe',
  'State',
  'assemble',
  'init',
  'loss',
  'observe',
  'update',
]
