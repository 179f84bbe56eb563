"""Milliseconds a step beside the forms of PyTorch, after losses of equal steps, by precision.

On an H200 a row of a new precision took 100 s, nearly all of it compilation on both sides.
"""

import functools
from collections.abc import Mapping

from benchmarks.gpu.part import Measurements, Part, Place, Row

# The best form known, then research code, which compiles nothing. Tuning by timing takes minutes,
# so it comes last.
ORDER = (
  ('bfloat16', 'compiled_graph'),
  ('bfloat16', 'plain'),
  ('tf32', 'compiled_graph'),
  ('tf32', 'plain'),
  ('float32', 'compiled_graph'),
  ('float32', 'plain'),
  ('bfloat16', 'graph'),
  ('bfloat16', 'max_autotune'),
)
SHORT = (('bfloat16', 'graph'), ('bfloat16', 'plain'))


def measurements(place: Place) -> Measurements:
  """Return one measurement for each precision and form."""

  @functools.cache
  def ours(precision):
    from benchmarks.gpu.training import Training

    training = Training(place.short, precision)
    return training, training.losses()

  def measure(precision, form) -> Row:
    from benchmarks import comparison

    training, losses = ours(precision)
    peer = training.peer(form)
    apart = comparison.difference(losses, peer.losses(training.data.train.images))
    comparison.require_equal(apart, precision)
    with training.setting.formats.scope():
      result = comparison.compare(
        training.train, peer.train, training.setting.steps, training.rounds
      )
    return {'precision': precision, 'form': form, **result.to_json(), 'losses apart': apart}

  return {
    f'{precision}, {form}': functools.partial(measure, precision, form)
    for precision, form in (SHORT if place.short else ORDER)
  }


def summary(rows: Mapping[str, Row]) -> list[str]:
  """State our speed against the best form in each precision, and against research code."""
  from benchmarks import comparison

  ratios: dict[str, dict[str, float]] = {}
  for row in rows.values():
    ratios.setdefault(row['precision'], {})[row['form']] = row['ratio']
  return [f'{precision}: {comparison.verdict(found)}.' for precision, found in ratios.items()]


PART = Part('steps', 'A training step against PyTorch', 200, measurements, summary)
