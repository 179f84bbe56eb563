"""The parts in the order of their importance.

The first six take 12 minutes at most. They say how fast it is, what a run takes and whether it is
right. The others help to choose settings. Tuning is last, as each of its rows compiles anew.
"""

from benchmarks.gpu.parts import (
  calls,
  determinism,
  epochs,
  export,
  main_job,
  profile,
  start,
  steps,
  streaming,
  tuning,
)

PARTS = (
  steps.PART,
  start.PART,
  epochs.PART,
  profile.PART,
  determinism.PART,
  main_job.PART,
  calls.PART,
  streaming.PART,
  export.PART,
  tuning.PART,
)
