"""Where names stand in a figure, so that none covers another."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from scipy.optimize import isotonic_regression

from pidkd_jax.report.style import Style

_POINT = 5.0  # Pixels around a point that stay free.


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
  """Positions at least `gap` apart, in the order of the wanted ones and as near as can be to them.

  Args:
    wanted: [K], in any order.
    gap: between neighbours.
    low, high: the range to stay in, where it holds all K.

  Returns:
    [K], of least squared distance to `wanted`.
  """
  order = np.argsort(wanted, kind='stable')
  steps = gap * np.arange(len(order))
  # Without the gaps they need only ascend: a regression that has an exact solution.
  level = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
  room = max(low, high - gap * (len(order) - 1))
  found = np.empty(len(order))
  found[order] = np.clip(level, low, room) + steps
  return found


def at_line_ends(
  axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Style]
) -> None:
  """Writes each line's name right of the axes at the height of its end, in place of a legend.

  Args:
    axes: with its final limits, in a figure whose layout is settled.
    ends: {label: (x, y) of its last point}.
    looks: of the labels.
  """
  renderer = FigureCanvasAgg(axes.figure).get_renderer()
  box = axes.get_window_extent(renderer)
  points = axes.transData.transform(list(ends.values()))
  size = 9 if len(ends) <= 22 else 7
  gap = size * 1.35 * axes.figure.dpi / 72
  heights = spread(points[:, 1], gap, box.y0, box.y1)
  for (label, point), height in zip(ends.items(), heights, strict=True):
    style = looks[label]
    share = (height - box.y0) / box.height
    axes.annotate(
      label,
      xy=point,
      xycoords='data',
      xytext=(1.07, share),
      textcoords='axes fraction',
      fontsize=size,
      color=style.colour,
      fontweight=style.weight,
      va='center',
      annotation_clip=False,
      arrowprops={
        'arrowstyle': '-',
        'color': style.colour,
        'linewidth': 0.8,
        'linestyle': style.line,
        'shrinkA': 1,
        'shrinkB': 2,
      },
    )


def beside_points(
  axes: Axes,
  points: Mapping[str, tuple[float, float]],
  looks: Mapping[str, Style],
  taken: Sequence[Bbox] = (),
) -> None:
  """Writes each point's name where it covers no other name or point, with a line where it is far.

  Args:
    axes: with its final limits, in a figure whose layout is settled.
    points: {label: (x, y)}.
    looks: of the labels.
    taken: boxes in pixels that stay free.
  """
  renderer = FigureCanvasAgg(axes.figure).get_renderer()
  inside = axes.get_window_extent(renderer)
  centres = dict(zip(points, axes.transData.transform(list(points.values())), strict=True))
  dots = {
    label: Bbox.from_extents(x - _POINT, y - _POINT, x + _POINT, y + _POINT)
    for label, (x, y) in centres.items()
  }
  placed = list(taken)
  # What is prominent chooses first, then what stands alone has to give way least.
  for label in sorted(points, key=lambda label: (not looks[label].prominent, centres[label][1])):
    x, y = centres[label]
    style = looks[label]
    text = axes.text(0, 0, label, fontsize=9, fontweight=style.weight, color=style.colour)
    extent = text.get_window_extent(renderer)
    text.remove()
    others = placed + [dot for name, dot in dots.items() if name != label]
    left, bottom = min(
      _candidates(x, y, extent.width, extent.height),
      key=lambda place: _badness(place, (x, y), extent, others, inside),
    )
    box = Bbox.from_bounds(left, bottom, extent.width, extent.height)
    placed.append(box)
    far = np.hypot(*(np.clip((x, y), box.min, box.max) - (x, y))) > 14
    axes.annotate(
      label,
      xy=points[label],
      xytext=((left - x) * 72 / axes.figure.dpi, (bottom - y) * 72 / axes.figure.dpi),
      textcoords='offset points',
      fontsize=9,
      fontweight=style.weight,
      color=style.colour,
      zorder=5,
      arrowprops={'arrowstyle': '-', 'color': style.colour, 'lw': 0.6, 'shrinkA': 0}
      if far
      else None,
    )


def _candidates(x: float, y: float, width: float, height: float):
  """Lower left corners around a point, the nearest first."""
  for distance in (8, 14, 22, 32, 44, 58, 74, 92, 112):
    for angle in np.deg2rad([0, 180, 45, 315, 135, 225, 90, 270, 22, 338, 158, 202]):
      dx, dy = np.cos(angle), np.sin(angle)
      yield x + distance * dx - width * (1 - dx) / 2, y + distance * dy - height * (1 - dy) / 2


def _badness(place, point, extent, others: Sequence[Bbox], inside: Bbox) -> float:
  box = Bbox.from_bounds(*place, extent.width, extent.height)
  overlap = sum(_common(box, other) for other in others)
  outside = extent.width * extent.height - _common(box, inside)
  # Any overlap is worse than the longest way.
  return 1e3 * overlap + 1e3 * outside + np.hypot(*(np.asarray(box.get_points()).mean(0) - point))


def _common(one: Bbox, other: Bbox) -> float:
  found = Bbox.intersection(one, other)
  return 0.0 if found is None else found.width * found.height
