"""Accuracy against the size of the deployed network."""

import numpy as np
from matplotlib.figure import Figure

from pidkd_jax.report import statistics
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, scatter
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.label_placement import label_points
from pidkd_jax.report.style import label_styles

_COSTS = (
  ('parameters', 'deployed parameters (M)'),
  ('multiply_adds', 'multiply-adds of one image (M)'),
)


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str]:
  """Draw top-1 against deployed parameters and multiply-adds, with the Pareto fronts.

  Args:
    comparison: the runs whose cards are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption.
  """
  styles = label_styles(comparison.labels, baseline)
  figure = Figure(figsize=(12, 5.4), dpi=100)
  panels = figure.subplots(1, 2, sharey=True)
  figure.subplots_adjust(left=0.06, right=0.985, top=0.91, bottom=0.11, wspace=0.05)
  figure.suptitle(comparison.title)
  means, names = [], []
  for axes, (key, axis_label) in zip(panels, _COSTS, strict=True):
    values = {
      label: ([1e-6 * t.value('cost', key) for t in trials.values()], scatter.top1(trials.values()))
      for label, trials in comparison.labels.items()
    }
    means.append(scatter.draw(axes, values, styles))
    x, y = np.array([(point.x, point.y) for point in means[-1].values()]).T
    if x.max() > 8 * x.min():
      axes.set_xscale('log')
      use_plain_numbers(axes.xaxis)
    front = statistics.pareto_front(list(x), list(y))
    axes.step(
      # The last point surpasses everything to its right, so the line goes on to the end.
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
    names.append(scatter.draw_teacher(axes, comparison.teacher, key))
    axes.set_xlabel(axis_label)
    axes.legend(loc='lower right', frameon=False)
  panels[0].set_ylabel('top-1 (%)')
  # The panels share their limits, which are final only now.
  for axes, points, name in zip(panels, means, names, strict=True):
    label_points(axes, points, styles, [name] if name else [])
  caption = (
    'Top-1 against the size of the deployed network. Points are means over trials with standard '
    'deviations; rings are points that lie on each other. The band is the Pareto front of the '
    'means: nothing of equal or smaller size surpasses it.'
  )
  return figure, caption
