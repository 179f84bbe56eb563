"""Equal members as one: learners and states stacked along a new first axis.

Members whose programs are equal can take their steps side by side, in one program (`update`). Its
kernels are as many as those of one member, but for convolutions and products.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pidkd_jax.core.types import Batch
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import convolution
from pidkd_jax.training import step as steps
from pidkd_jax.training.learner import Learner, State


def groups(learners: Mapping[str, Learner]) -> list[list[str]]:
  """Return the names of the learners, those with equal programs together."""
  found: dict[Any, list[str]] = {}
  for name, learner in learners.items():
    found.setdefault((learner.method, learner.optimizer), []).append(name)
  return list(found.values())


def stack(trees: Sequence[Any]) -> Any:
  """Stack arrays of equal trees, each [...] -> [n, ...]."""
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: Any, number: int) -> list[Any]:
  """Undo `stack` of n = `number` trees."""
  return [jax.tree.map(lambda leaf, place=place: leaf[place], tree) for place in range(number)]


@jax.jit(donate_argnames='state')
def update(
  learner: Learner, state: State, batch: Batch, view: TeacherOutputs | None, step: jax.Array
) -> State:
  """Take one step of all learners of a stack; arguments and result as `step.update`'s.

  Args:
    learner: stacked, with `state`.
    state: before the step; it is donated.
    batch: a training batch, which all learners see.
    view: `step.observe` of the same batch.
    step: int32 scalar.
  """
  with convolution.separate():
    return jax.vmap(steps.update, (0, 0, None, None, None))(learner, state, batch, view, step)
