"""Where a step's time goes: idle time, the longest kernels, and the share of the floor."""

import functools
from collections.abc import Mapping

from benchmarks.gpu.part import Measurements, Part, Place, Row

PRECISION = 'bfloat16'
TOP = 20
STEP = 'a step'


def measurements(place: Place) -> Measurements:
  """Return the step's row, and the kernels' rows one by one."""

  @functools.cache
  def profiled():
    import jax

    from benchmarks.gpu import trace
    from benchmarks.gpu.training import Training

    training = Training(place.short, PRECISION)
    milliseconds = training.milliseconds()  # Without the profiler, which slows launches.
    with jax.profiler.trace(str(place.folder)):
      training.train()
    return training, milliseconds, trace.read(place.folder)

  def step() -> Row:
    from benchmarks import floor

    training, milliseconds, found = profiled()
    peak = floor.peak(
      training.setting.formats.dtype,
      sides=(256,) if place.short else (4096, 8192),
      rounds=training.rounds,
    )
    operations = floor.operations(training.cohort, training.states, training.batch)
    steps = training.setting.steps
    return {
      'ms': milliseconds,
      'kernels': found.kernels / steps,
      'busy (ms)': found.busy / steps / 1000,
      'idle share': found.idle,
      'floor by arithmetic (ms)': 1000 * operations / peak,
      'floor / step': 1000 * operations / peak / milliseconds,
      'peak (T operations/s)': peak / 1e12,
    }

  def kernel(place_in_order: int) -> Row:
    training, _, found = profiled()
    steps = training.setting.steps
    if place_in_order >= len(found.by_name):
      return {'kernel': 'the trace has no more'}
    name, (microseconds, count) = list(found.by_name.items())[place_in_order]
    return {
      'kernel': name[:60],
      'us a step': microseconds / steps,
      'calls a step': count / steps,
    }

  top = range(1 if place.short else TOP)
  return {STEP: step, **{f'kernel {i + 1}': functools.partial(kernel, i) for i in top}}


def summary(rows: Mapping[str, Row]) -> list[str]:
  """Say that the span is the profiler's."""
  if STEP not in rows:
    return []
  if not rows[STEP]['kernels']:
    return ['The trace has no device: kernels and idle time are those of no GPU.']
  return [
    'The milliseconds are measured without the profiler. It slows launches, so the idle share is '
    'an upper bound.'
  ]


PART = Part('profile', 'Where a step goes', 40, measurements, summary)
