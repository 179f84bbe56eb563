"""What the scatter figures share: a point a label, its spread, its name."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from pidkd_jax.report import style
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
) -> dict[str, tuple[float, float]]:
  """Draws means with standard deviations both ways.

  Args:
    axes: to draw in.
    values: {label: (x of each trial, y of each trial)}.
    looks: of the labels.

  Returns:
    {label: (x, y)} of the means.
  """
  means = {}
  for label, (x, y) in values.items():
    look = looks[label]
    means[label] = float(np.mean(x)), float(np.mean(y))
    axes.errorbar(
      *means[label],
      xerr=spread(x) or None,
      yerr=spread(y) or None,
      fmt=look.marker,
      color=look.colour,
      markersize=9 if look.prominent else 6,
      markeredgecolor='white',
      markeredgewidth=0.8,
      elinewidth=1.1,
      capsize=2.5,
      zorder=look.order + 1,
    )
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  axes.margins(0.12)
  return means


def teacher(axes: Axes, trial: Trial | None) -> None:
  """A line at the teacher's accuracy, with its size, where the run tells it."""
  if trial is None or trial.value('results', 'top1') is None:
    return
  height = 100 * trial.value('results', 'top1')
  size = trial.value('cost', 'parameters')
  name = f'teacher {trial.network}' + (f', {1e-6 * size:.3g} M' if size else '')
  axes.axhline(height, color=style.TEACHER, linestyle=(0, (6, 3)), linewidth=1.2, zorder=1)
  axes.annotate(
    name,
    (0.005, height),
    xycoords=('axes fraction', 'data'),
    xytext=(0, 3),
    textcoords='offset points',
    fontsize=9,
    color=style.TEACHER,
  )
