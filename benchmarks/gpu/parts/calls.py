"""Milliseconds a step, by the number of steps in one compiled call.

The teacher sees one batch a pass in every row but one, as a call of one step cannot look ahead. The
other row looks ahead as far as training prefers, and differs from the row above it in that alone.
"""

import functools

from benchmarks.gpu.part import Measurements, Part, Place, Row

PRECISION = 'bfloat16'
# (steps a call, look_ahead), most important first.
ROWS = ((1, 1), (100, 1), (100, 5), (20, 1), (5, 1), (50, 1))


def measurements(place: Place) -> Measurements:
  """Return one measurement for each division."""

  def measure(steps: int, ahead: int) -> Row:
    from benchmarks.gpu.training import Training

    training = Training(place.short, PRECISION, steps, look_ahead=ahead)
    found = training.calls
    return {
      'steps a call': found.steps,
      'look_ahead': found.look_ahead,
      'ms a step': training.milliseconds(),
    }

  return {
    f'{steps} a call, look_ahead {ahead}': functools.partial(measure, steps, ahead)
    for steps, ahead in (ROWS[:1] if place.short else ROWS)
  }


PART = Part('calls', 'Several steps a call', 100, measurements)
