"""The losses of the first steps against PyTorch's, from equal weights on equal batches."""

import functools

from benchmarks.gpu.part import Measurements, Part, Place, Row

# Each is compared in eager form, which compiles nothing.
FORM = 'channels_last'
PRECISIONS = ('bfloat16', 'float32', 'tf32')


def measurements(place: Place) -> Measurements:
  """Return one measurement for each precision."""
  return {
    precision: functools.partial(_measure, place.short, precision)
    for precision in (PRECISIONS[:1] if place.short else PRECISIONS)
  }


def _measure(short: bool, precision: str) -> Row:
  from benchmarks import comparison, pair
  from benchmarks.gpu.training import Training

  training = Training(short, precision)
  apart = comparison.difference(
    training.losses(), training.peer(FORM).losses(training.data.train.images)
  )
  allowed = comparison.TOLERANCE[precision]
  return {
    'steps': pair.AGREEING_STEPS,
    'largest difference': apart,
    'allowed': allowed,
    'equal': bool(apart <= allowed),
  }


PART = Part('equality', 'Losses against those of PyTorch', 150, measurements)
