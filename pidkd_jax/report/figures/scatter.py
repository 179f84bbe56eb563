"""Points of the scatter figures: one mean for each label, with standard deviations."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from pidkd_jax.report.figures import overlap, teacher_line
from pidkd_jax.report.label_placement import Point
from pidkd_jax.report.style import Style
from pidkd_jax.report.trial import Trial


def top1(trials: Iterable[Trial]) -> list[float]:
  """Return the top-1 of each trial, in percent."""
  return [100 * trial.value('results', 'top1') for trial in trials]


def standard_deviation(values: Sequence[float]) -> float:
  """Return the sample standard deviation; 0 for one value, which draws no error bar."""
  return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def draw(
  axes: Axes,
  values: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  styles: Mapping[str, Style],
) -> dict[str, Point]:
  """Draw means with horizontal and vertical standard deviations.

  Points that lie on each other become rings. A prominent one lies behind, as it is the largest.

  Args:
    axes: the axes to draw in.
    values: {label: (x of each trial, y of each trial)}.
    styles: {label: style}.

  Returns:
    {label: point}.
  """
  points = {
    label: Point(float(np.mean(x)), float(np.mean(y)), standard_deviation(x), standard_deviation(y))
    for label, (x, y) in values.items()
  }
  order = sorted(points, key=lambda label: not styles[label].prominent)
  sizes = overlap.ring_sizes(
    {label: (points[label].x, points[label].y) for label in order},
    {label: 9 if styles[label].prominent else 6 for label in order},
  )
  for depth, label in enumerate(order):
    point, style = points[label], styles[label]
    axes.errorbar(
      point.x,
      point.y,
      xerr=point.dx or None,
      yerr=point.dy or None,
      fmt=style.marker,
      color=style.colour,
      markersize=sizes[label],
      markeredgecolor='white',
      markeredgewidth=0.8,
      elinewidth=1.1,
      capsize=2.5,
      zorder=3 + 0.01 * depth,
    )
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  axes.margins(0.12)
  return points


def draw_teacher(axes: Axes, teacher: Trial | None, cost: str | None = None) -> Annotation | None:
  """Draw a line at the teacher's top-1.

  Args:
    axes: the axes to draw in.
    teacher: the teacher, or None.
    cost: the entry of the card's cost that the x axis has, to stand beside its name; or None.

  Returns:
    The line's text; None if the teacher's top-1 is not there.
  """
  if teacher is None or teacher.value('results', 'top1') is None:
    return None
  height = 100 * teacher.value('results', 'top1')
  size = teacher.value('cost', cost) if cost else None
  name = f'teacher {teacher.network}' + (f', {1e-6 * size:.3g} M' if size else '')
  return teacher_line.draw_above_right(axes, height, name, 9)
