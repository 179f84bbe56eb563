"""How many batches the frozen teacher sees in one pass.

Batches are functions of the step, so those of the next steps are known. A larger pass occupies an
accelerator better. The teacher treats each image on its own, so its outputs change only by
rounding.
"""

import logging
import math

import jax

from pidkd_jax.core.types import Batch
from pidkd_jax.training import free_memory
from pidkd_jax.training.cohort import Cohort

logger = logging.getLogger(__name__)

# On an H200 a step of 1.58 ms took 0.13 ms less with 5. Other numbers were not measured.
_DEFAULT = 5
# The share of an accelerator's memory that batches and outputs of one pass may take by default.
_SHARE = 1 / 16


def steps_per_call(asked: int) -> int:
  """Return the training steps in one compiled call, where `asked` may be 0 for the default.

  That is 50 on accelerators and 1 on CPU, where a convolution's gradient in a loop body is 80
  times slower.
  """
  return asked or (1 if jax.default_backend() == 'cpu' else 50)


def batches_per_pass(asked: int, steps: int, cohort: Cohort, batch: Batch) -> int:
  """Return how many batches the teacher of a cohort sees in one pass.

  Args:
    asked: the number that is asked for; 0 for the default. That is 1 on CPU. On accelerators it is
      5, or as many as fit into 1/16 of the device's memory with all outputs.
    steps: in one compiled call; no pass sees more.
    cohort: its teacher may be arrays or shapes.
    batch: a training batch, as arrays or shapes.
  """
  if cohort.teacher is None or steps == 1:
    return 1
  if asked:
    return min(asked, steps)
  if jax.default_backend() == 'cpu':
    return 1
  fitting = int(_SHARE * free_memory.capacity()) // pass_bytes(cohort, batch)
  return max(1, min(_DEFAULT, steps, fitting))


def pass_bytes(cohort: Cohort, batch: Batch) -> int:
  """Return the bytes of a batch and of the teacher's outputs on it, for all devices together."""
  view = jax.eval_shape(Cohort.observe, cohort, batch)
  outputs = () if view is None else (view.features, view.logits)
  return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves((batch, outputs)))


def report(asked: int, found: int, cohort: Cohort, steps: int, traceable: bool) -> None:
  """Say where the teacher sees fewer batches in one pass than the user asked for."""
  if asked <= found or cohort.teacher is None:
    return
  reason = f'a call takes {steps}' if traceable else 'streamed batches come one by one'
  logger.warning('look_ahead is %d; the teacher sees %d at once, as %s', asked, found, reason)
