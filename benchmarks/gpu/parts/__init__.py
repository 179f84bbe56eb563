"""The parts in the order of their importance."""

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
  tuning.PART,
  epochs.PART,
  profile.PART,
  determinism.PART,
  main_job.PART,
  calls.PART,
  streaming.PART,
  export.PART,
)
