"""What a training shows and evaluates, and how it is carried out."""

import dataclasses
from collections.abc import Mapping

from pidkd_jax.training.execution import Execution


@dataclasses.dataclass(frozen=True)
class LoopSettings:
  """The length of a training, its evaluations, and how it is carried out.

  Attributes:
    title: text before the progress.
    labels: {member: label}; trials of one method share theirs.
    total_epochs: length of the whole training.
    eval_every: epochs between evaluations; the last epoch is always evaluated.
    execution: how it is carried out.
  """

  title: str
  labels: Mapping[str, str]
  total_epochs: int
  eval_every: int
  execution: Execution
