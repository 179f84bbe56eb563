"""Learning curves of accuracy and training loss."""

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, overlap
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.label_placement import label_line_ends
from pidkd_jax.report.style import Style, label_styles

# More bands would hide each other, so then only the prominent labels have one.
_MOST_BANDS = 7

# {label: {epoch: one value a trial}}.
_Curves = Mapping[str, Mapping[int, list[float]]]


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw accuracy and training loss by epoch: trials' mean as a line, their range as a band.

  Args:
    comparison: the runs whose metrics are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption, or None if the runs were never evaluated.
  """
  rows = [row for run in comparison.runs for row in run.rows]
  measure = 'holdout_top1' if any('holdout_top1' in row for row in rows) else 'test_top1'
  top1, loss = _curves(comparison, measure, 100), _curves(comparison, 'train_loss', 1)
  if not top1:
    return None
  styles = label_styles(comparison.labels, baseline)
  epochs = sorted({epoch for curve in top1.values() for epoch in curve})
  late = [epoch for epoch in epochs if epoch > 2 / 3 * epochs[-1]]
  zoom = 2 < len(late) < len(epochs)
  figure, panels = _panels(3 if zoom else 2, max(map(len, top1)))
  figure.suptitle(comparison.title)
  name = f'{measure.replace("_", " ").replace("top1", "top-1")} (%)'
  panels[0].set_yscale('log', nonpositive='mask')
  _plot(panels[0], loss, styles, "training loss (each method's own)")
  use_plain_numbers(panels[0].yaxis)
  _plot(panels[1], top1, styles, name)
  if zoom:
    zoomed = {
      label: {epoch: curve[epoch] for epoch in late if epoch in curve}
      for label, curve in top1.items()
    }
    _plot(panels[2], {label: curve for label, curve in zoomed.items() if curve}, styles, name)
    panels[2].set_ylabel('')
    panels[2].set_title('the last third', fontsize=10)
  label_line_ends(panels[0], _ends(loss, least=0), styles)
  label_line_ends(panels[-1], _ends(top1), styles)
  bands = 'Bands' if len(top1) <= _MOST_BANDS else 'The bands of the bold ones'
  caption = (
    f'Learning curves: {measure.split("_")[0]} top-1 and training loss by epoch. Lines are means '
    f'over trials; one that runs along another is dotted. {bands} reach from the lowest to the '
    'highest trial. Losses of different methods have different terms and are not comparable.'
  )
  if any(min(values) <= 0 for curve in loss.values() for values in curve.values()):
    caption += ' A line breaks off where its loss, which may be a likelihood, is not positive.'
  return figure, caption


def _panels(count: int, longest: int) -> tuple[Figure, Sequence[Axes]]:
  """Return a figure with room for labels behind its first panel and behind its last.

  Args:
    count: number of panels.
    longest: number of characters of the longest label.
  """
  # In inches.
  panel, gap, names = 3.7, 0.65, 0.5 + 0.085 * max(longest, 8)
  width = gap + count * panel + (count - 1) * gap + 2 * names
  figure = Figure(figsize=(width, 4.8), dpi=100)
  left, panels = gap, []
  for number in range(count):
    box = (left / width, 0.11, panel / width, 0.76)
    panels.append(figure.add_axes(box))
    left += panel + gap + (names if number == 0 else 0)
  return figure, panels


def _ends(curves: _Curves, least: float = -math.inf) -> dict[str, tuple[float, float]]:
  """Return {label: (epoch, mean)} of the last epoch at which a line is drawn.

  Args:
    curves: the curves.
    least: values up to this one are not drawn.
  """
  ends = {}
  for label, curve in curves.items():
    means = {epoch: statistics.mean(values) for epoch, values in curve.items()}
    shown = [epoch for epoch, mean in means.items() if math.isfinite(mean) and mean > least]
    if shown:
      ends[label] = (max(shown), means[max(shown)])
  return ends


def _curves(comparison: Comparison, measure: str, factor: float) -> _Curves:
  """Return the values of a measure in metrics.jsonl, times a factor, by label and epoch."""
  curves = {}
  for run in comparison.runs:
    labels = {trial.name: trial.label for trial in run.trials}
    for row in run.rows:
      if measure in row and row['member'] in labels:
        curve = curves.setdefault(labels[row['member']], {})
        curve.setdefault(row['epoch'], []).append(factor * row[measure])
  return {
    label: dict(sorted(curves[label].items())) for label in comparison.labels if label in curves
  }


def _heights(axes: Axes, curve: Mapping[int, float]) -> dict[int, float]:
  """Return a curve's heights on the axes, which may be logarithmic."""
  logarithmic = axes.get_yscale() == 'log'
  return {
    epoch: math.log(value) if logarithmic else value
    for epoch, value in curve.items()
    if value > 0 or not logarithmic
  }


def _plot(axes: Axes, curves: _Curves, styles: Mapping[str, Style], name: str) -> None:
  means = {
    label: {epoch: statistics.mean(values) for epoch, values in curve.items()}
    for label, curve in curves.items()
  }
  # Thick lines first, as thin ones before them can be seen.
  order = sorted(means, key=lambda label: -styles[label].line_width)
  hidden = overlap.hidden({label: _heights(axes, means[label]) for label in order})
  for depth, label in enumerate(order):
    style, curve, epochs = styles[label], curves[label], list(curves[label])
    axes.plot(
      epochs,
      list(means[label].values()),
      color=style.colour,
      linestyle=overlap.LINE if label in hidden else style.line,
      linewidth=style.line_width,
      zorder=2 + 0.01 * depth,
      marker='o' if len(epochs) == 1 else None,
    )
    if style.prominent or len(curves) <= _MOST_BANDS:
      axes.fill_between(
        epochs,
        [min(values) for values in curve.values()],
        [max(values) for values in curve.values()],
        color=style.colour,
        linewidth=0,
        alpha=0.16,
      )
  axes.set(xlabel='epoch', ylabel=name)
  axes.margins(x=0.01)
  last = max(max(curve) for curve in curves.values())
  if all(set(curve) == {last} for curve in curves.values()):  # Evaluated only at the end.
    axes.set_xlim(0, 1.02 * last)
  axes.xaxis.set_major_locator(MaxNLocator(integer=True))
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
