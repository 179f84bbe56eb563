"""The lower bounds of a training step's time, and what the device was measured to do.

    arithmetic  its operations, at the device's measured peak. Each multiply-add of the frozen
                teacher's pass is two operations. Each multiply-add of student and projectors is
                six: forward, and backward by inputs and by weights. A cheaper formulation that
                runs, such as Winograd's, does not count.
    memory      the bytes that the compiled programs read and write by XLA's own count, at the
                measured bandwidth.

The peak is that of the fastest of some square matrix products, the bandwidth that of a copy.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from pidkd_jax.core.types import Batch
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.learner import State

SIDES = (1024, 2048, 4096)
COPIED = 2**28  # bytes


def operations(cohort: Cohort, states: Mapping[str, State], batch: Batch) -> float:
  """Return the operations of a step of all members."""
  images, shape = len(batch.image), tuple(batch.image.shape[1:])
  assert cohort.teacher is not None
  students = sum(
    cost(cohort.network(name, state.variables), shape).multiply_adds
    for name, state in states.items()
  )
  return images * (2 * cost(cohort.teacher, shape).multiply_adds + 6 * students)


def peak(dtype: jnp.dtype, sides: Sequence[int] = SIDES, rounds: int = 7) -> float:
  """Return the operations per second of the fastest product of square random matrices."""
  return max(_product(side, dtype, rounds) for side in sides)


def _product(side: int, dtype: jnp.dtype, rounds: int) -> float:
  x = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
  product = jax.jit(jnp.matmul)
  return 2 * side**3 / min(times(lambda: product(x, x), rounds))


def bandwidth(rounds: int = 7) -> float:
  """Return the bytes per second, read and written, of a copy."""
  x = jnp.arange(COPIED // 4, dtype=jnp.float32)
  copy = jax.jit(lambda x: x + 1)
  return 2 * COPIED / min(times(lambda: copy(x), rounds))


def median(function: Callable, rounds: int = 7) -> float:
  """Return the median seconds of a call, after one that is not timed."""
  return statistics.median(times(function, rounds))


def times(function: Callable, rounds: int) -> list[float]:
  """Return the seconds of each call, after one that is not timed."""
  jax.block_until_ready(function())
  seconds = []
  for _ in range(rounds):
    started = time.perf_counter()
    jax.block_until_ready(function())
    seconds.append(time.perf_counter() - started)
  return seconds
