"""Milliseconds a step, by the number of steps in one compiled call."""

import functools

from benchmarks.gpu.part import Measurements, Part, Place, Row

PRECISION = 'bfloat16'
COUNTS = (1, 5, 20, 50, 100)


def measurements(place: Place) -> Measurements:
  """Return one measurement for each number of steps."""

  def measure(count) -> Row:
    from benchmarks.gpu.training import Training

    return {'ms a step': Training(place.short, PRECISION, count).milliseconds()}

  return {
    f'{count} a call': functools.partial(measure, count)
    for count in (COUNTS[:1] if place.short else COUNTS)
  }


PART = Part('calls', 'Several steps a call', 60, measurements)
