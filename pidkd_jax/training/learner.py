"""A learner, which stays as it is, and its state, which changes at every step."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from pidkd_jax.core.types import Variables
from pidkd_jax.methods.base import Method, hyperparameters
from pidkd_jax.models.network import Network
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

# The collections of a moving average: parameters, and BatchNorm's statistics of their outputs.
AVERAGED = ('params', 'batch_stats')


class BestEpoch(struct.PyTreeNode):
  """The variables of the best epoch so far on the hold-out.

  Attributes:
    variables: those that were evaluated after that epoch (`Learner.evaluated`).
    epoch: int32 scalar, counted from 1; 0 before the first evaluation.
    top1: float32 scalar in [0, 1]; -1 before the first evaluation.
  """

  variables: Variables
  epoch: jax.Array
  top1: jax.Array


class State(struct.PyTreeNode):
  """Everything that changes in a learner from step to step.

  Attributes:
    params: the parameters, which the gradient moves.
    collections: the other variables: BatchNorm's statistics, memory banks.
    opt_state: state of the optax transformation.
    loss_sums: {term: float32 scalar}, each term of the loss and the total, summed over the epoch.
    bad_step: int32 scalar, the first step whose loss was not finite, or after which an evaluation's
      logits were not; else -1.
    best: the best epoch so far where a hold-out selects it; else None.
    average: `optax.EmaState`, the moving average of `AVERAGED`; None without one.
  """

  params: Any
  collections: Variables
  opt_state: optax.OptState
  loss_sums: dict[str, jax.Array]
  bad_step: jax.Array
  best: BestEpoch | None = None
  average: Any = None

  @property
  def variables(self) -> Variables:
    """All variables of the learner, as Flax applies them."""
    return {'params': self.params, **self.collections}


class Learner(struct.PyTreeNode):
  """A method with its hyper-parameters and its randomness: one training, ready to begin.

  Static fields shape the program; the others are traced. Learners that differ only in numbers or
  in their key therefore share one compiled program, and `jax.vmap` runs over them:

      stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *learners)
      states = jax.vmap(init, in_axes=(0, None, None))(stacked, batch, teacher)
      step_all = jax.vmap(update, in_axes=(0, 0, None, None, None))
      states = step_all(stacked, states, batch, view, step)

  Attributes:
    method: static; its hyper-parameters of type float are None here.
    optimizer: static; the recipe in steps.
    hparams: {name: float32 scalar}, the learning rate, the weight decay and the method's
      hyper-parameters of type float.
    key: PRNG key of the initial weights and of all that the method draws.
  """

  method: Method = struct.field(pytree_node=False)
  optimizer: Optimizer = struct.field(pytree_node=False)
  hparams: dict[str, jax.Array]
  key: jax.Array

  @classmethod
  def create(
    cls,
    method: Method,
    optimizer: Optimizer,
    key: jax.Array,
    hparams: OptimizerHparams = OptimizerHparams(),  # noqa: B008 (frozen)
  ) -> 'Learner':
    """Make a learner of a method whose hyper-parameters are set.

    Args:
      method: an instance, with student, target and dataset.
      optimizer: the recipe in steps.
      key: PRNG key.
      hparams: learning rate and weight decay.
    """
    traced = _traced(method)
    numbers = {
      'learning_rate': hparams.learning_rate,
      'weight_decay': hparams.weight_decay,
      **traced,
    }
    return cls(
      method=_with(method, dict.fromkeys(traced)),
      optimizer=optimizer,
      hparams=jax.tree.map(jnp.float32, numbers),
      key=key,
    )

  def deployed(self, variables: Variables, teacher: Network | None) -> Network:
    """Return the network that is deployed, as `Method.deployed`, whose fields are numbers here."""
    numbers = {name: float(self.hparams[name]) for name in _traced(self.method)}
    return _with(self.method, numbers).deployed(variables, teacher)

  def averaged(self, state: State) -> optax.OptState | None:
    """Return the moving average after a step, or None without one.

    Args:
      state: after the step, with the average before it; None begins an average without a step.
    """
    if not self.optimizer.ema:
      return None
    # As float32, so that 1 - decay is exact.
    average = optax.ema(float(np.float32(self.optimizer.ema)))
    tree = {name: state.variables[name] for name in AVERAGED if name in state.variables}
    return average.init(tree) if state.average is None else average.update(tree, state.average)[1]

  def evaluated(self, state: State) -> Variables:
    """Return the variables that are evaluated and deployed, after at least one step.

    With a moving average it stands for parameters and statistics. It is divided by the sum of its
    weights, so random initial weights have no part in it.
    """
    if state.average is None:
      return state.variables
    # 1 - decay ** count, which loses its digits where the decay is near 1.
    weights = -jnp.expm1(state.average.count * math.log(np.float32(self.optimizer.ema)))
    mean = jax.tree.map(lambda leaf: (leaf / weights).astype(leaf.dtype), state.average.ema)
    return {**state.variables, **mean}

  def bound_method(self) -> Method:
    """Return the method with its traced hyper-parameters in place."""
    return _with(self.method, {name: self.hparams[name] for name in _traced(self.method)})


def _with(method: Method, hyperparameters: Mapping[str, Any]) -> Method:
  """Return the method with other values of some hyper-parameters."""
  return method.clone(**hyperparameters)


def _traced(method: Method) -> Mapping[str, Any]:
  """Return the hyper-parameters of type float, which are traced."""
  fields = hyperparameters(type(method))
  return {
    name: getattr(method, name) for name, field in fields.items() if field.type in (float, 'float')
  }
