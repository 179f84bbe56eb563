"""How the steps of an epoch are divided into compiled calls, and into passes of the teacher.

All calls take as many steps, and all passes see as many batches. So one program serves a whole
training, with one loop body. The last call of an epoch may have steps to spare, which alter nothing
(`cohort.scan`).

Batches are functions of the step, so those of the next steps are known. A larger pass of the frozen
teacher occupies an accelerator better. It treats each image on its own, so its outputs change only
by rounding.
"""

import dataclasses
import logging
import math
from collections.abc import Iterable

import jax

from pidkd_jax.core.types import Batch
from pidkd_jax.parallel import devices
from pidkd_jax.training import free_memory
from pidkd_jax.training.cohort import Cohort

logger = logging.getLogger(__name__)

# Steps of a call on accelerators.
_LEAST_STEPS, _MOST_STEPS = 40, 100
# Batches of a pass on accelerators, the preferred number first. On an H200 a step of 1.58 ms took
# 0.13 ms less with 5. Other numbers were not measured.
_PASSES = (5, 6, 4)
# The share of an accelerator's memory that batches and outputs of one pass may take by default.
_SHARE = 1 / 16


@dataclasses.dataclass(frozen=True)
class Calls:
  """The division of an epoch.

  Attributes:
    steps: of a call, a multiple of `look_ahead`.
    look_ahead: k, the batches that the teacher sees in one pass.
  """

  steps: int = 1
  look_ahead: int = 1

  def surplus(self, epoch: int) -> int:
    """Return the steps to spare in the calls of an epoch of so many steps."""
    return -epoch % self.steps


def plan(asked_steps: int, asked_ahead: int, epoch: int, cohort: Cohort, batch: Batch) -> Calls:
  """Divide an epoch.

  Args:
    asked_steps: the most steps of a call, rounded up to whole passes; 0 for the default. That is 1
      on CPU, where a convolution's gradient in a loop body is 80 times slower, and 40 to 100 on
      accelerators.
    asked_ahead: the most batches of a pass; 0 for the default. That is 1 on CPU, and 4 to 6 on
      accelerators, or as many as fit into 1/16 of the devices' memory with all outputs.
    epoch: its steps.
    cohort: its teacher may be arrays or shapes.
    batch: a training batch, as arrays or shapes.

  Returns:
    Of the divisions that are possible, the one with the fewest steps to spare.
  """
  on_cpu = jax.default_backend() == 'cpu'
  if asked_steps == 1 or (on_cpu and not asked_steps):
    return Calls()
  passes: Iterable[int] = (asked_ahead,)
  if cohort.teacher is None or (on_cpu and not asked_ahead):
    passes = (1,)
  elif not asked_ahead:
    capacity = free_memory.capacity() * devices.count()
    fitting = int(_SHARE * capacity) // pass_bytes(cohort, batch)
    passes = [k for k in _PASSES if k <= fitting] or [max(1, fitting)]
  counts = range(math.ceil(epoch / _MOST_STEPS), math.ceil(epoch / _LEAST_STEPS) + 1)
  if asked_steps:
    counts = [math.ceil(epoch / asked_steps)]
  divisions = [_divided(epoch, count, ahead) for count in counts for ahead in passes]
  return min(divisions, key=lambda division: division.surplus(epoch))


def _divided(epoch: int, count: int, ahead: int) -> Calls:
  """Divide an epoch into so many calls, with passes over at most `ahead` batches."""
  least = math.ceil(epoch / count)
  ahead = min(ahead, least)
  return Calls(ahead * math.ceil(least / ahead), ahead)


def pass_bytes(cohort: Cohort, batch: Batch) -> int:
  """Return the bytes of a batch and of the teacher's outputs on it, for all devices together."""
  view = jax.eval_shape(Cohort.observe, cohort, batch)
  outputs = () if view is None else (view.features, view.logits)
  return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves((batch, outputs)))


def report(asked_ahead: int, found: Calls, cohort: Cohort, traceable: bool) -> None:
  """Say where the teacher sees fewer batches in one pass than the user asked for."""
  if asked_ahead <= found.look_ahead or cohort.teacher is None:
    return
  reason = f'a call takes {found.steps}' if traceable else 'streamed batches come one by one'
  logger.warning(
    'look_ahead is %d; the teacher sees %d at once, as %s', asked_ahead, found.look_ahead, reason
  )
