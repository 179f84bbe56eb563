"""Agreement with the teacher against accuracy."""

from matplotlib.figure import Figure

from pidkd_jax.report import placement, style
from pidkd_jax.report.figures import points
from pidkd_jax.report.runs import Comparison


def draw(comparison: Comparison, base: str | None) -> tuple[Figure, str] | None:
  """Top-1 against the share of test images on which student and teacher predict the same.

  Args:
    comparison: whose cards are read.
    base: a label to be drawn prominently, or None.
  """
  values = {
    label: (
      [100 * trial.value('results', 'agreement') for trial in trials.values()],
      points.top1(trials.values()),
    )
    for label, trials in comparison.labels.items()
    if all(t.value('results', 'agreement') is not None for t in trials.values())
  }
  if not values:
    return None
  looks = style.styles(comparison.labels, base)
  figure = Figure(figsize=(8.6, 6), dpi=100)
  axes = figure.subplots()
  figure.subplots_adjust(left=0.09, right=0.97, top=0.91, bottom=0.1)
  figure.suptitle(comparison.title)
  means = points.draw(axes, values, looks)
  name = points.teacher(axes, comparison.teacher)
  axes.set(xlabel='agreement with the teacher (%)', ylabel='top-1 (%)')
  placement.beside_points(axes, means, looks, [name] if name else [])
  caption = (
    'Agreement with the teacher (share of test images with the same prediction, right or wrong) '
    'against top-1: means over trials with standard deviations.'
  )
  return figure, caption
