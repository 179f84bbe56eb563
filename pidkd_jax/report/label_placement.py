"""Placement of labels in a figure, so that none covers another or a point.

adjustText places them by simulated forces. With 17 labels at one x, as where students share an
architecture, its labels cover points and each other, and one panel takes seconds.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy.optimize import isotonic_regression

from pidkd_jax.report.style import Style


def spread(wanted: Sequence[float] | np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
  """Return positions at least `gap` apart that are nearest to the wanted ones in least squares.

  Args:
    wanted: [K], in any order, which the result keeps.
    gap: distance between neighbours.
    low: lower end of the range to stay in, if all K fit into it.
    high: upper end of the range.

  Returns:
    [K].

  Example:
    >>> spread([4, 4, 4, 9], gap=1, low=0, high=10).tolist()
    [3.0, 4.0, 5.0, 9.0]
  """
  order = np.argsort(wanted, kind='stable')
  steps = gap * np.arange(len(order))
  # With the gaps subtracted, the positions need only ascend: isotonic regression solves it exactly.
  level = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
  ceiling = max(low, high - gap * (len(order) - 1))
  positions = np.empty(len(order))
  positions[order] = np.clip(level, low, ceiling) + steps
  return positions


def label_line_ends(
  axes: Axes, ends: Mapping[str, tuple[float, float]], styles: Mapping[str, Style]
) -> None:
  """Write each line's label to the right of the axes at the height of its end.

  Args:
    axes: the axes, with final limits, in a figure with its final layout.
    ends: {label: (x, y) of the line's last point}.
    styles: {label: style}.
  """
  _, box = _measure(axes)
  points = axes.transData.transform(list(ends.values()))
  size = 9 if len(ends) <= 22 else 7
  gap = size * 1.35 * axes.figure.dpi / 72
  heights = spread(points[:, 1], gap, box.y0, box.y1)
  for (label, point), height in zip(ends.items(), heights, strict=True):
    style = styles[label]
    axes.annotate(
      label,
      xy=point,
      xycoords='data',
      xytext=(1.09, (height - box.y0) / box.height),
      textcoords='axes fraction',
      fontsize=size,
      color=style.colour,
      fontweight=style.font_weight,
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


def _measure(axes: Axes) -> tuple[RendererBase, Bbox]:
  """Return a renderer, and the axes' box in pixels."""
  # Matplotlib updates transData only when the limits are read.
  axes.get_xlim()
  axes.get_ylim()
  renderer = FigureCanvasAgg(cast(Figure, axes.figure)).get_renderer()
  return renderer, axes.get_window_extent(renderer)


@dataclasses.dataclass(frozen=True)
class Point:
  """A point with error bars, in data units.

  Attributes:
    x: horizontal position.
    y: vertical position.
    dx: half length of the horizontal error bar.
    dy: half length of the vertical error bar.
  """

  x: float
  y: float
  dx: float = 0.0
  dy: float = 0.0


def label_points(
  axes: Axes,
  points: Mapping[str, Point],
  styles: Mapping[str, Style],
  texts: Sequence[Text] = (),
) -> None:
  """Write each point's label where it covers no other label or point.

  A line joins a distant label to its point.

  Args:
    axes: the axes, with final limits, in a figure with its final layout.
    points: {label: point}.
    styles: {label: style}.
    texts: texts that the axes already have.
  """
  renderer, inside = _measure(axes)
  centres = {k: axes.transData.transform((point.x, point.y)) for k, point in points.items()}
  markers = [
    Bbox([centre, centre]).padded(7 if styles[label].prominent else 5)
    for label, centre in centres.items()
  ]
  bars = [bar for point in points.values() for bar in _error_bars(axes, point)]
  placed = [text.get_window_extent(renderer) for text in texts]
  # Prominent labels choose first.
  for label in sorted(points, key=lambda label: (not styles[label].prominent, centres[label][1])):
    style, centre = styles[label], centres[label]
    font = {'fontsize': 9, 'fontweight': style.font_weight, 'color': style.colour}
    text = axes.text(0, 0, label, **font)
    extent = text.get_window_extent(renderer)
    text.remove()
    box = min(
      _candidates(centre, extent.width, extent.height),
      key=lambda box: _penalty(box, centre, placed + markers, bars, inside),
    )
    placed.append(box)
    line = {'arrowstyle': '-', 'color': style.colour, 'lw': 0.6, 'shrinkA': 0, 'shrinkB': 3}
    axes.annotate(
      label,
      xy=(points[label].x, points[label].y),
      xytext=tuple((box.min - centre) * 72 / axes.figure.dpi),
      textcoords='offset points',
      zorder=5,
      arrowprops=line if _distance(box, centre) > 14 else None,
      **font,
    )


def _error_bars(axes: Axes, point: Point) -> list[Bbox]:
  """Return the boxes of a point's two error bars, in pixels."""
  boxes = []
  for dx, dy in ((point.dx, 0), (0, point.dy)):
    ends = [(point.x - dx, point.y - dy), (point.x + dx, point.y + dy)]
    boxes.append(Bbox(axes.transData.transform(ends)).padded(1.5))
  return boxes


def _candidates(centre: np.ndarray, width: float, height: float) -> Iterator[Bbox]:
  """Yield boxes of this size around a point, the nearest first."""
  for distance in (9, 14, 21, 30, 42, 56, 72, 90, 112):
    for angle in np.deg2rad([0, 180, 45, 315, 135, 225, 90, 270, 22, 338, 158, 202]):
      direction = np.array([np.cos(angle), np.sin(angle)])
      x, y = centre + distance * direction - np.array([width, height]) * (1 - direction) / 2
      yield Bbox.from_bounds(x, y, width, height)


def _penalty(
  box: Bbox, centre: np.ndarray, others: Sequence[Bbox], bars: Sequence[Bbox], inside: Bbox
) -> float:
  """Return the cost of a label's box; the label with the lowest is written there."""
  covered = sum(_overlap(box, other) for other in others)
  covered += box.width * box.height - _overlap(box, inside)
  crossed = sum(_overlap(box, bar) for bar in bars)
  # Covering anything costs more than any distance; crossing an error bar costs like some distance.
  return 1e3 * covered + 0.8 * crossed + _distance(box, centre)


def _distance(box: Bbox, centre: np.ndarray) -> float:
  return float(np.hypot(*(np.clip(centre, box.min, box.max) - centre)))


def _overlap(a: Bbox, b: Bbox) -> float:
  """Return the area that two boxes share."""
  shared = Bbox.intersection(a, b)
  return 0.0 if shared is None else shared.width * shared.height
