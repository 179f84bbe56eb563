"""Accuracy against what is deployed."""

import numpy as np
from matplotlib.figure import Figure

from pidkd_jax.report import placement, statistics, style
from pidkd_jax.report.figures import points, scale
from pidkd_jax.report.runs import Comparison

_AXES = (
  ('parameters', 'deployed parameters (M)'),
  ('multiply_adds', 'multiply-adds of one image (M)'),
)


def draw(comparison: Comparison, base: str | None) -> tuple[Figure, str]:
  """Top-1 against deployed parameters and multiply-adds, with what nothing smaller surpasses.

  Args:
    comparison: whose cards are read.
    base: a label to be drawn prominently, or None.
  """
  looks = style.styles(comparison.labels, base)
  figure = Figure(figsize=(12, 5.4), dpi=100)
  panels = figure.subplots(1, 2, sharey=True)
  figure.subplots_adjust(left=0.06, right=0.985, top=0.91, bottom=0.11, wspace=0.05)
  figure.suptitle(comparison.title)
  means, names = [], []
  for axes, (key, name) in zip(panels, _AXES, strict=True):
    values = {
      label: ([1e-6 * t.value('cost', key) for t in trials.values()], points.top1(trials.values()))
      for label, trials in comparison.labels.items()
    }
    means.append(points.draw(axes, values, looks))
    x, y = np.array([(point.x, point.y) for point in means[-1].values()]).T
    if x.max() > 8 * x.min():
      axes.set_xscale('log')
      scale.plain(axes.xaxis)
    front = statistics.pareto(x, y)
    axes.step(
      # It surpasses all that lies right of it and below.
      [*x[front], x.max()],
      [*y[front], y[front[-1]]],
      where='post',
      color='#d0a000',
      linewidth=5,
      alpha=0.35,
      zorder=1.5,
      solid_capstyle='round',
      label='Pareto front',
    )
    names.append(points.teacher(axes, comparison.teacher))
    axes.set_xlabel(name)
    axes.legend(loc='lower right', frameon=False)
  panels[0].set_ylabel('top-1 (%)')
  # Only now are the limits final that the panels share.
  for axes, own, name in zip(panels, means, names, strict=True):
    placement.beside_points(axes, own, looks, [name] if name else [])
  caption = (
    'Top-1 against what is deployed: means over trials with standard deviations; the band is the '
    'Pareto front of the means, which nothing as small or smaller surpasses.'
  )
  return figure, caption
