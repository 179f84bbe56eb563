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

import importlib
from typing import TYPE_CHECKING, Any

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

_MODULES = {
  'pidkd_jax.core.types': ('Batch',),
  'pidkd_jax.training.cohort': ('Cohort', 'assemble'),
  'pidkd_jax.training.learner': ('Learner', 'State'),
  'pidkd_jax.training.member': ('Member',),
  'pidkd_jax.training.optimizer': ('Optimizer',),
  'pidkd_jax.training.recipe': ('OptimizerHparams', 'Recipe'),
  'pidkd_jax.training.step': ('init', 'loss', 'observe', 'update'),
}


def __getattr__(name: str) -> Any:
  for module, names in _MODULES.items():
    if name in names:
      return getattr(importlib.import_module(module), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
