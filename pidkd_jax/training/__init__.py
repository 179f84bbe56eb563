"""Train cohorts: learners in lock step on the same batches.

The pure functions of one step are public, to be jitted, scanned, vmapped and differentiated:

    view = kd.training.observe(teacher, batch)
    state = kd.training.init(learner, batch, teacher)
    state = kd.training.update(learner, state, batch, view, step)
    value, (terms, collections) = kd.training.loss(
      learner, state.params, state.collections, batch, view, step
    )

Names are imported when they are used, as a report reads metrics and needs no networks.
"""

from typing import TYPE_CHECKING

from pidkd_jax.core import lazy

if TYPE_CHECKING:
  from pidkd_jax.core.types import Batch
  from pidkd_jax.training.cohort import Cohort, assemble
  from pidkd_jax.training.learner import Learner, State
  from pidkd_jax.training.member import Member
  from pidkd_jax.training.optimizer import Optimizer
  from pidkd_jax.training.recipe import OptimizerHparams, Recipe
  from pidkd_jax.training.step import init, loss, observe, update

__all__ = [
  'Batch',
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

__getattr__, __dir__ = lazy.attach(
  __name__,
  {
    'Batch': 'pidkd_jax.core.types:Batch',
    'Cohort': 'pidkd_jax.training.cohort:Cohort',
    'Learner': 'pidkd_jax.training.learner:Learner',
    'Member': 'pidkd_jax.training.member:Member',
    'Optimizer': 'pidkd_jax.training.optimizer:Optimizer',
    'OptimizerHparams': 'pidkd_jax.training.recipe:OptimizerHparams',
    'Recipe': 'pidkd_jax.training.recipe:Recipe',
    'State': 'pidkd_jax.training.learner:State',
    'assemble': 'pidkd_jax.training.cohort:assemble',
    'init': 'pidkd_jax.training.step:init',
    'loss': 'pidkd_jax.training.step:loss',
    'observe': 'pidkd_jax.training.step:observe',
    'update': 'pidkd_jax.training.step:update',
  },
)
