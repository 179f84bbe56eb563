"""Accuracy against agreement with the teacher."""

from matplotlib.figure import Figure

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, scatter
from pidkd_jax.report.label_placement import label_points
from pidkd_jax.report.style import label_styles


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw top-1 against the share of test images on which student and teacher predict the same.

  Args:
    comparison: the runs whose cards are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption, or None if no label has its agreement.
  """
  values = {
    label: (
      [100 * trial.value('results', 'agreement') for trial in trials.values()],
      scatter.top1(trials.values()),
    )
    for label, trials in comparison.labels.items()
    if all(t.value('results', 'agreement') is not None for t in trials.values())
  }
  if not values:
    return None
  styles = label_styles(comparison.labels, baseline)
  figure = Figure(figsize=(8.6, 6), dpi=100)
  axes = figure.subplots()
  figure.subplots_adjust(left=0.09, right=0.97, top=0.91, bottom=0.1)
  figure.suptitle(comparison.title)
  means = scatter.draw(axes, values, styles)
  name = scatter.draw_teacher(axes, comparison.teacher)
  axes.set(xlabel='agreement with the teacher (%)', ylabel='top-1 (%)')
  label_points(axes, means, styles, [name] if name else [])
  caption = (
    'Top-1 against agreement with the teacher, which is the share of test images with the same '
    'prediction, right or wrong. Points are means over trials with standard deviations; rings are '
    'points that lie on each other.'
  )
  return figure, caption
