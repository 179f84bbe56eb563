"""How an experiment is carried out, which alters results only by rounding."""

import dataclasses

from pidkd_jax.parallel import devices


@dataclasses.dataclass(frozen=True)
class Execution:
  """How an experiment is carried out. It alters results only by rounding.

  Attributes:
    memory: bytes that a training may take. A cohort that needs more, by `training.memory.estimate`,
      trains in parts.
    groups: of devices; each trains a part of a cohort at a time.
    checkpoint_seconds: least time between two checkpoints; the last step is always saved.
    steps_per_call: the most training steps in one compiled call; 0 chooses (`calls.plan`). Streamed
      data always take 1, as the host hands over each batch.
    look_ahead: the most batches that the teacher sees in one pass; 0 chooses (`calls.plan`).
    side_by_side: whether equal members take the steps of a call in one program, where a call has
      several.
    eval_precision: of evaluations before the last epoch, a name in `precision.PRECISIONS`. Neither
      students nor their final figures depend on it; curves and `best_on_test` do.
    signals: whether SIGTERM and SIGINT make a training save and stop.
    writers: names of writers that get the metrics, too (`training.writers.names`).
  """

  memory: int
  groups: tuple[devices.DeviceGroup, ...]
  checkpoint_seconds: float = 60.0
  steps_per_call: int = 0
  look_ahead: int = 0
  side_by_side: bool = False
  eval_precision: str = 'float32'
  signals: bool = True
  writers: tuple[str, ...] = ()
