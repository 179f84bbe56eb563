"""Give the programs of a step to the CPU from several threads, so that it runs some at once.

JAX's CPU client runs the programs of one thread one after another, each on all cores. Small layers
do not occupy all cores, so programs of other members fill the gaps (docs/lab/performance.md has
figures of two cores). Each program computes what it would compute alone, so results are
bit-identical.
"""

import concurrent.futures
import itertools
from collections.abc import Mapping
from typing import Any

import jax

from pidkd_jax.core import runtime
from pidkd_jax.core.types import Batch
from pidkd_jax.parallel import devices
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State

# On two cores, four threads were as fast as two. Larger machines were not measured.
_MOST = 4

# JAX's settings of a thread in which trainings differ, and the contexts that set them.
_SETTINGS = {
  'jax_default_device': jax.default_device,
  'jax_default_matmul_precision': jax.default_matmul_precision,
  'jax_enable_x64': jax.enable_x64,
}


def number() -> int:
  """Return how many members' programs run at once here.

  It is 1 on accelerators, which run a program at a time, and where a program spans several devices,
  as the devices of one program must not wait for those of another.
  """
  if jax.default_backend() != 'cpu' or devices.count() > 1:
    return 1
  return min(runtime.cores(), _MOST)


class Lanes:
  """The threads. Each has JAX's settings of the thread that made it."""

  def __init__(self, count: int):
    """Start the threads.

    Args:
      count: `number()`; with 1, the calling thread does all.
    """
    settings = {name: getattr(jax.config, name) for name in _SETTINGS}
    self._lanes = [
      concurrent.futures.ThreadPoolExecutor(1, 'lane', _enter, (settings,))
      for _ in range(count if count > 1 else 0)
    ]

  def step(
    self, cohort: Cohort, states: Mapping[str, State], batch: Batch, step: jax.Array
  ) -> dict[str, State]:
    """Take `cohort.step`. The states are donated, and those that it returns may still compute."""
    if not self._lanes:
      return cohort.step(states, batch, step)
    # The teacher sees this batch beside the updates of the step before. It goes no further ahead,
    # as its outputs take memory.
    view = cohort.observe(batch)
    jax.block_until_ready(states)
    updates = {
      name: lane.submit(cohort.update, name, states[name], batch, view, step)
      for name, lane in zip(cohort.names, itertools.cycle(self._lanes))
    }
    return {name: update.result() for name, update in updates.items()}

  def close(self) -> None:
    """End the threads."""
    for lane in self._lanes:
      lane.shutdown()


def _enter(settings: Mapping[str, Any]) -> None:
  for name, value in settings.items():
    _SETTINGS[name](value).__enter__()
