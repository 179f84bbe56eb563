"""How a training is carried out."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class LoopSettings:
  """How a training is carried out.

  Attributes:
    title: text before the progress.
    labels: {member: label}; trials of one method share theirs.
    total_epochs: length of the whole training.
    eval_every: epochs between evaluations; the last epoch is always evaluated.
    checkpoint_seconds: least time between two checkpoints; the last step is always saved.
    steps_per_call: the most training steps in one compiled call; 0 chooses (`calls.plan`). Changing
      it alters results only by rounding. Streamed data always take 1, as the host hands over each
      batch.
    look_ahead: the most batches that the teacher sees in one pass; 0 chooses (`calls.plan`).
      Changing it alters results only by rounding.
    side_by_side: whether members of equal programs take the steps of a call together, where a call
      has several. Changing it alters results only by rounding.
  """

  title: str
  labels: Mapping[str, str]
  total_epochs: int
  eval_every: int
  checkpoint_seconds: float
  steps_per_call: int
  look_ahead: int = 0
  side_by_side: bool = False
