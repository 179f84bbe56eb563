"""What the scatter figures share: a point a label, its spread, its name."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from pidkd_jax.report import style
from pidkd_jax.report.placement import Point
from pidkd_jax.report.runs import Trial


def top1(trials: Sequence[Trial]) -> list[float]:
  """Of each trial, in percent."""
  return [100 * trial.value('results', 'top1') for trial in trials]


def spread(values: Sequence[float]) -> float:
  """Sample standard deviation; of one trial 0, which draws no bar."""
  return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def draw(
  axes: Axes,
  values: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  looks: Mapping[str, style.Style],
) -> dict[str, Point]:
  """Draws means with standard deviations both ways.

  Args:
    axes: to draw in.
    values: {label: (x of each trial, y of each trial)}.
    looks: of the labels.

  Returns:
    {label: what was drawn}.
  """
  found = {}
  for label, (x, y) in values.items():
    look = looks[label]
    point = Point(float(np.mean(x)), float(np.mean(y)), spread(x), spread(y))
    axes.errorbar(
      point.x,
      point.y,
      xerr=point.dx or None,
      yerr=point.dy or None,
      fmt=look.marker,
      color=look.colour,
      markersize=9 if look.prominent else 6,
      markeredgecolor='white',
      markeredgewidth=0.8,
      elinewidth=1.1,
      capsize=2.5,
      zorder=look.order + 1,
    )
    found[label] = point
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  axes.margins(0.12)
  return found


def teacher(axes: Axes, trial: Trial | None) -> Annotation | None:
  """A line at the teacher's accuracy, with its size, where the run tells it; its name."""
  if trial is None or trial.value('results', 'top1') is None:
    return None
  height = 100 * trial.value('results', 'top1')
  size = trial.value('cost', 'parameters')
  name = f'teacher {trial.network}' + (f', {1e-6 * size:.3g} M' if size else '')
  axes.axhline(height, color=style.TEACHER, linestyle=style.TEACHER_LINE, linewidth=1.2, zorder=1)
  return axes.annotate(
    name,
    (0.995, height),
    xycoords=('axes fraction', 'data'),
    xytext=(0, 3),
    textcoords='offset points',
    ha='right',
    fontsize=9,
    color=style.TEACHER,
  )
