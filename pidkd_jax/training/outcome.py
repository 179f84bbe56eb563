"""The result of a training: a network for each member, or that none is finite any more."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.models.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
  """The result of a member's training.

  Attributes:
    network: the network that its bundle holds.
    epoch: the epoch, counted from 1, that the network is from.
    training_bytes: memory of a step as XLA plans it; None where several steps run in one call.
    logits: float32 [N, K], the network's logits of the validation split; None if the last
      evaluation was of another epoch's network.
  """

  network: Network
  epoch: int
  training_bytes: int | None
  logits: np.ndarray | None


class Diverged(UserError):
  """No member of a cohort is finite any more.

  Attributes:
    steps: {member: the step at which it diverged}.
  """

  def __init__(self, steps: Mapping[str, int]):
    named = ', '.join(f'{name} at step {step}' for name, step in steps.items())
    super().__init__(
      f'no member is finite any more (diverged: {named}); try a lower learning rate, in another '
      'workdir'
    )
    self.steps = dict(steps)

  def __reduce__(self):
    return type(self), (self.steps,), self.__dict__
