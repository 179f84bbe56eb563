"""Where names stand in a figure, so that none covers another."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy.optimize import isotonic_regression

from pidkd_jax.report.style import Style


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
  renderer, box = _settled(axes)
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
      xytext=(1.09, share),
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
        'relpos': (0, 0.5),
        'shrinkA': 1,
        'shrinkB': 2,
      },
    )


def _settled(axes: Axes) -> tuple[RendererBase, Bbox]:
  """A renderer, and the axes' box in pixels."""
  axes.get_xlim(), axes.get_ylim()  # Until they are asked for, transData has old limits.
  renderer = FigureCanvasAgg(axes.figure).get_renderer()
  return renderer, axes.get_window_extent(renderer)


@dataclasses.dataclass(frozen=True)
class Point:
  """A point with bars of half lengths dx and dy, in the axes' data units."""

  x: float
  y: float
  dx: float = 0.0
  dy: float = 0.0


def beside_points(
  axes: Axes,
  points: Mapping[str, Point],
  looks: Mapping[str, Style],
  texts: Sequence[Text] = (),
) -> None:
  """Writes each point's name where it covers no other name or point, with a line where it is far.

  Args:
    axes: with its final limits, in a figure whose layout is settled.
    points: {label: its point}.
    looks: of the labels.
    texts: that stand there already.
  """
  renderer, inside = _settled(axes)
  centres = {k: axes.transData.transform((point.x, point.y)) for k, point in points.items()}
  dots = [
    Bbox([centre, centre]).padded(7 if looks[label].prominent else 5)
    for label, centre in centres.items()
  ]
  bars = [bar for point in points.values() for bar in _bars(axes, point)]
  placed = [text.get_window_extent(renderer) for text in texts]
  # What is prominent chooses first.
  for label in sorted(points, key=lambda label: (not looks[label].prominent, centres[label][1])):
    style, centre = looks[label], centres[label]
    look = {'fontsize': 9, 'fontweight': style.weight, 'color': style.colour}
    text = axes.text(0, 0, label, **look)
    extent = text.get_window_extent(renderer)
    text.remove()
    box = min(
      _candidates(centre, extent.width, extent.height),
      key=lambda box: _badness(box, centre, placed + dots, bars, inside),
    )
    placed.append(box)
    line = {'arrowstyle': '-', 'color': style.colour, 'lw': 0.6, 'shrinkA': 0, 'shrinkB': 3}
    axes.annotate(
      label,
      xy=(points[label].x, points[label].y),
      xytext=(box.min - centre) * 72 / axes.figure.dpi,
      textcoords='offset points',
      zorder=5,
      arrowprops=line if _distance(box, centre) > 14 else None,
      **look,
    )


def _bars(axes: Axes, point: Point) -> list[Bbox]:
  found = []
  for dx, dy in ((point.dx, 0), (0, point.dy)):
    ends = [(point.x - dx, point.y - dy), (point.x + dx, point.y + dy)]
    found.append(Bbox(axes.transData.transform(ends)).padded(1.5))
  return found


def _candidates(centre: np.ndarray, width: float, height: float) -> Iterator[Bbox]:
  """Boxes around a point, the nearest first."""
  for distance in (9, 14, 21, 30, 42, 56, 72, 90, 112):
    for angle in np.deg2rad([0, 180, 45, 315, 135, 225, 90, 270, 22, 338, 158, 202]):
      side = np.array([np.cos(angle), np.sin(angle)])
      yield Bbox.from_bounds(
        *(centre + distance * side - np.array([width, height]) * (1 - side) / 2), width, height
      )


def _badness(
  box: Bbox, centre: np.ndarray, others: Sequence[Bbox], bars: Sequence[Bbox], inside: Bbox
) -> float:
  hidden = sum(_common(box, other) for other in others)
  hidden += box.width * box.height - _common(box, inside)
  crossed = sum(_common(box, bar) for bar in bars)
  # To hide something is worse than the longest way, to cross a bar as bad as a longer one.
  return 1e3 * hidden + 0.8 * crossed + _distance(box, centre)


def _distance(box: Bbox, centre: np.ndarray) -> float:
  return float(np.hypot(*(np.clip(centre, box.min, box.max) - centre)))


def _common(one: Bbox, other: Bbox) -> float:
  found = Bbox.intersection(one, other)
  return 0.0 if found is None else found.width * found.height
