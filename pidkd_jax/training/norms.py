"""The size of a learner's steps, read from its optimizer's state where an epoch ends."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pidkd_jax.training.learner import Learner, State
from pidkd_jax.training.optimizer import RULES


def measure(learner: Learner, state: State, step: int) -> dict[str, float]:
  """Describe the last step that a learner took.

  The training step itself computes nothing for it, so it stays the same to the last bit.

  Args:
    learner: the training.
    state: after the step.
    step: that step, counted from 0.

  Returns:
    `learning_rate`, of the step; `gradient_norm`, the length of the gradient, weight decay
    included, as the momentum averages it: (1 - momentum) times the length of the momentum. AdamW's
    is its first moment, without weight decay. `update_norm`, the length of the change of all
    parameters; only SGD's state tells it. A value that is not finite is left out.
  """
  rule = RULES[learner.optimizer.rule]
  moment = jax.device_get(optax.tree.get(state.opt_state, rule.moment, filtering=_is_field))
  rates = learner.bound_method().rates()
  squares = {module: _squared_length(tree) for module, tree in moment.items()}
  rate = learner.hparams['learning_rate'] * learner.optimizer.rate(jnp.int32(step))
  rate = float(f'{float(rate):.7g}')  # float32 has no more digits.
  change = sum(float(rates.get(module, 1.0)) ** 2 * square for module, square in squares.items())
  values = {
    'learning_rate': rate,
    'gradient_norm': rule.factor(learner.optimizer.momentum) * math.sqrt(sum(squares.values())),
  }
  if rule.steps_by_moment:
    values['update_norm'] = rate * math.sqrt(change)
  return {name: value for name, value in values.items() if math.isfinite(value)}


def _is_field(path: tuple[Any, ...], value: Any) -> bool:
  """Return whether a path ends at a field of an optimizer's state, and not at a parameter."""
  del value
  return isinstance(path[-1], optax.tree_utils.NamedTupleKey)


def _squared_length(tree: Any) -> float:
  # On the host, where it needs no compilation.
  return sum(float(np.square(leaf, dtype=np.float64).sum()) for leaf in jax.tree.leaves(tree))
