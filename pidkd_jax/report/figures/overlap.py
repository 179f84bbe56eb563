"""Points and lines that lie on each other, drawn so that all of them can be seen."""

from collections.abc import Mapping, Sequence

import numpy as np

# Nearer than this share of an axis, two points or lines cover each other.
_NEAR = 0.012
# Matplotlib's style of a line that runs along another.
LINE = (0, (1.5, 2.5))
# How much larger a marker is than one that lies on it, in points.
_RING = 4


def ring_sizes(
  points: Mapping[str, tuple[float, float]], least: Mapping[str, float]
) -> dict[str, float]:
  """Return the size of each marker, larger than those of the later points that lie on it.

  Args:
    points: {label: (x, y)}, drawn in this order, the first behind all others.
    least: {label: the size of a marker that nothing lies on}.

  Example:
    >>> ring_sizes({'a': (0, 0), 'b': (0, 0), 'c': (9, 9)}, {'a': 6, 'b': 6, 'c': 6})
    {'a': 10, 'b': 6, 'c': 6}
  """
  positions = np.array(list(points.values()), float)
  span = np.ptp(positions, axis=0)
  scaled = dict(zip(points, positions / np.where(span > 0, span, 1), strict=True))
  sizes = {}
  for label in reversed(list(points)):
    upon = [sizes[k] + _RING for k in sizes if np.abs(scaled[k] - scaled[label]).max() < _NEAR]
    sizes[label] = max([least[label], *upon])
  return {label: sizes[label] for label in points}


def hidden(curves: Mapping[str, Mapping[int, float]]) -> list[str]:
  """Return the labels of curves that run along an earlier curve.

  Args:
    curves: {label: {x: y}}.

  Example:
    >>> hidden({'a': {1: 0.0, 2: 9.0}, 'b': {1: 5.0, 2: 5.0}, 'c': {1: 0.0, 2: 9.0}})
    ['c']
  """
  heights = [y for curve in curves.values() for y in curve.values() if np.isfinite(y)]
  span = np.ptp(heights) if heights else 0
  result, earlier = [], []
  for label, curve in curves.items():
    if any(_runs_along(curve, other, _NEAR * (span or 1)) for other in earlier):
      result.append(label)
    earlier.append(curve)
  return result


def _runs_along(curve: Mapping[int, float], other: Mapping[int, float], near: float) -> bool:
  shared: Sequence[int] = [x for x in curve if x in other]
  return bool(shared) and all(abs(curve[x] - other[x]) <= near for x in shared)
