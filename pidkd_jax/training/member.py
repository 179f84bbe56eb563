"""One training of a cohort as plain values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pidkd_jax.training.recipe import OptimizerHparams


@dataclasses.dataclass(frozen=True)
class Member:
  """A student and how it is trained, as configurations and cards write it down.

  Attributes:
    label: the row's name in tables; trials share it.
    student: name of the network that is trained.
    method: name of the method.
    hyperparameters: {name: value} of the method, where they are not its defaults.
    optimizer: learning rate and weight decay.
    trial: counted from 0. With the experiment's seed it determines the initial weights and all
      else that is random in this member alone. So a trial starts from the same student under every
      method. A teacher has -1, so that no student starts from its teacher's initial weights.
  """

  label: str
  student: str
  method: str
  hyperparameters: Mapping[str, Any]
  optimizer: OptimizerHparams
  trial: int

  @property
  def name(self) -> str:
    """The label and the trial, which no other member of the cohort has."""
    return self.label if self.trial < 0 else f'{self.label}-{self.trial}'
