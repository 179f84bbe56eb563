"""Learning curves."""

import statistics
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pidkd_jax.report import placement, style
from pidkd_jax.report.figures import scale
from pidkd_jax.report.runs import Comparison

# More bands than this would hide each other; then the prominent ones are drawn.
_BANDS = 7

# {label: {epoch: one value a trial}}.
_Curves = Mapping[str, Mapping[int, list[float]]]


def draw(comparison: Comparison, base: str | None) -> tuple[Figure, str] | None:
  """Accuracy and training loss by epoch: the mean of the trials as a line, their range as a band.

  Args:
    comparison: with the rows of its runs.
    base: a label to be drawn prominently, or None.
  """
  rows = [row for run in comparison.runs for row in run.rows]
  measure = 'holdout_top1' if any('holdout_top1' in row for row in rows) else 'test_top1'
  top1, loss = _curves(comparison, measure, 100), _curves(comparison, 'train_loss', 1)
  if not top1:
    return None
  looks = style.styles(comparison.labels, base)
  epochs = sorted({epoch for curve in top1.values() for epoch in curve})
  late = [epoch for epoch in epochs if epoch > 2 / 3 * epochs[-1]]
  zoom = 2 < len(late) < len(epochs)
  figure = Figure(figsize=(12.5 if zoom else 10, 4.8), dpi=100)
  axes = figure.subplots(1, 3 if zoom else 2)
  figure.subplots_adjust(left=0.05, right=0.88, top=0.87, bottom=0.11, wspace=0.2)
  figure.suptitle(comparison.title)
  name = f'{measure.replace("_", " ").replace("top1", "top-1")} (%)'
  losses, whole, end = axes[0], axes[1], axes[-1]
  _plot(losses, loss, looks, "training loss (each method's own)")
  losses.set_yscale('log', nonpositive='mask')
  scale.plain(losses.yaxis)
  _plot(whole, top1, looks, name)
  if zoom:
    own = {
      label: {epoch: curve[epoch] for epoch in late if epoch in curve}
      for label, curve in top1.items()
    }
    _plot(end, {label: curve for label, curve in own.items() if curve}, looks, name)
    end.set_ylabel('')
    end.set_title('the last third', fontsize=10)
  ends = {label: (max(c), statistics.mean(c[max(c)])) for label, c in top1.items()}
  placement.at_line_ends(end, ends, looks)
  bands = 'bands' if len(top1) <= _BANDS else 'the bands of the bold ones'
  caption = (
    f'Learning curves: {measure.split("_")[0]} top-1 and training loss by epoch; lines are means '
    f'over trials, {bands} reach from the lowest to the highest trial. Losses of different methods '
    'have different terms and are not to be compared.'
  )
  if any(min(values) <= 0 for curve in loss.values() for values in curve.values()):
    caption += ' A line breaks off where its loss, which may be a likelihood, is not positive.'
  return figure, caption


def _curves(comparison: Comparison, measure: str, factor: float) -> _Curves:
  found = {}
  for run in comparison.runs:
    names = {trial.name: trial.label for trial in run.trials}
    for row in run.rows:
      if measure in row and row['member'] in names:
        label = found.setdefault(names[row['member']], {})
        label.setdefault(row['epoch'], []).append(factor * row[measure])
  return {
    label: dict(sorted(found[label].items())) for label in comparison.labels if label in found
  }


def _plot(axes: Axes, curves: _Curves, looks: Mapping[str, style.Style], name: str) -> None:
  for label, curve in curves.items():
    look, epochs = looks[label], list(curve)
    axes.plot(
      epochs,
      [statistics.mean(values) for values in curve.values()],
      color=look.colour,
      linestyle=look.line,
      linewidth=look.width,
      zorder=look.order,
      marker='o' if len(epochs) == 1 else None,
    )
    if look.prominent or len(curves) <= _BANDS:
      axes.fill_between(
        epochs,
        [min(values) for values in curve.values()],
        [max(values) for values in curve.values()],
        color=look.colour,
        linewidth=0,
        alpha=0.16,
      )
  axes.set(xlabel='epoch', ylabel=name)
  axes.margins(x=0.01)
  last = max(max(curve) for curve in curves.values())
  if all(set(curve) == {last} for curve in curves.values()):  # Evaluated at the end alone.
    axes.set_xlim(0, 1.02 * last)
  axes.xaxis.set_major_locator(MaxNLocator(integer=True))
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
