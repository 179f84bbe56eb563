"""Learning curves of accuracy and of the training losses."""

import math
import statistics
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, losses, overlap, scatter, teacher_line
from pidkd_jax.report.label_placement import label_line_ends
from pidkd_jax.report.style import Style, label_styles

# More bands would hide each other, so then only the prominent labels have one.
_MOST_BANDS = 7
# The most panels of losses in a line; up to so many of them are drawn larger.
_COLUMNS = 6
_FEW = 4
# The width of the panels in inches.
_WIDTH = 9.6
# The teacher's line may stretch the panel of the last third by this share.
_ROOM = 1.0

# {label: {epoch: one value a trial}}.
_Curves = Mapping[str, Mapping[int, list[float]]]


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw accuracy and training losses by epoch: trials' mean as a line, their range as a band.

  Args:
    comparison: the runs whose metrics are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption, or None if the runs were never evaluated. Where they were evaluated
    at one epoch only, there are no curves of accuracy.
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
  methods = losses.by_method(comparison, list(loss))
  if len(epochs) == 1 and not methods:
    return None
  count = 2 if zoom else min(1, len(epochs) - 1)
  figure, above, below = _panels(count, len(methods), max(map(len, top1)))
  figure.suptitle(comparison.title, y=1 - 0.12 / figure.get_figheight(), va='top')
  name = f'{measure.replace("_", " ").replace("top1", "top-1")} (%)'
  if above:
    _plot(above[0], top1, styles, name)
  elif max(map(len, methods.values())) > losses.MOST_NAMES:
    _name_lines(figure, styles)
  if zoom:
    zoomed = {
      label: {epoch: curve[epoch] for epoch in late if epoch in curve}
      for label, curve in top1.items()
    }
    _plot(above[1], {label: curve for label, curve in zoomed.items() if curve}, styles, '')
    above[1].set_title('the last third', fontsize=10)
  teacher = comparison.teacher if measure == 'test_top1' else None
  if teacher is not None and above:
    [height] = scatter.top1([teacher])
    teacher_line.draw_below_left(above[0], height, 'teacher', 9)
    low, high = above[-1].get_ylim()
    if zoom and height < high + _ROOM * (high - low):
      teacher_line.draw_below_left(above[1], height, '', 9)
  if above:
    label_line_ends(above[-1], _ends(top1), styles)
  size = 8 if len(below) <= _FEW else 7
  for axes, (method, labels) in zip(below, methods.items(), strict=True):
    losses.draw(axes, method, {label: loss[label] for label in labels}, styles, size)
  if below:
    below[0].set_ylabel('training loss', fontsize=9)
  bands = 'Bands' if len(top1) <= _MOST_BANDS else 'The bands of the bold ones'
  top = f'{measure.split("_")[0]} top-1 and, below, ' if above else ''
  caption = (
    f'Learning curves: {top}training losses by epoch. Lines '
    f'are means over trials; one that runs along another is dotted. {bands} reach from the lowest '
    'to the highest trial. Losses of different methods have different terms and are not '
    'comparable, so each method has axes of its own.'
  )
  if teacher is not None and above:
    caption += ' The dashed line is the teacher.'
  if any(axes.get_yscale() == 'linear' for axes in below):
    caption += ' An axis is linear where a loss, which may be a likelihood, is not positive.'
  return figure, caption


def _panels(count: int, methods: int, longest: int) -> tuple[Figure, list[Axes], list[Axes]]:
  """Return a figure, its panels of accuracy, and below them those of losses.

  Args:
    count: number of panels of accuracy, which may be 0. There is room for labels behind the last.
    methods: number of panels of losses.
    longest: number of characters of the longest label.
  """
  # In inches.
  gap, names, high = 0.65, 0.5 + 0.085 * max(longest, 8), 3.6 if count else -0.5
  lines = math.ceil(methods / _COLUMNS)
  columns = math.ceil(methods / lines) if lines else 1
  low = 1.9 if methods <= _FEW else 1.25
  low = low if count else 3.2
  width, height = _WIDTH + gap + names, 0.6 + high + 0.62 + lines * (low + 0.55)
  figure = Figure(figsize=(width, height), dpi=100)

  def add(left: float, top: float, across: float, down: float) -> Axes:
    return figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))

  across = (_WIDTH - (count - 1) * gap) / max(count, 1)
  above = [add(gap + number * (across + gap), 0.6, across, high) for number in range(count)]
  across = (_WIDTH + (names if count else 0) - (columns - 1) * gap) / columns
  below = []
  for number in range(methods):
    line, column = divmod(number, columns)
    top = 0.6 + high + 0.8 + line * (low + 0.55)
    below.append(add(gap + column * (across + gap), top, across, low))
  return figure, above, below


def _name_lines(figure: Figure, styles: Mapping[str, Style]) -> None:
  """Write the labels beside panels that have no room for them."""
  lines = []
  for style in styles.values():
    lines.append(Line2D([], [], color=style.colour, linewidth=style.line_width))
    lines[-1].set_linestyle(style.line)
  canvas.legend(figure, lines, list(styles), loc='center right', frameon=False, fontsize=8)


def _ends(curves: _Curves) -> dict[str, tuple[float, float]]:
  """Return {label: (epoch, mean)} of each line's last epoch."""
  return {
    label: (max(curve), statistics.mean(curve[max(curve)])) for label, curve in curves.items()
  }


def _curves(comparison: Comparison, measure: str, factor: float) -> _Curves:
  """Return the values of a measure in metrics.jsonl, times a factor, by label and epoch.

  An epoch counts where each trial of the label that has the measure has it.
  """
  curves, trials = {}, {}
  for run in comparison.runs:
    labels = {trial.name: trial.label for trial in run.trials}
    for row in run.rows:
      if measure in row and row['member'] in labels:
        label = labels[row['member']]
        curve = curves.setdefault(label, {})
        curve.setdefault(row['epoch'], []).append(factor * row[measure])
        trials.setdefault(label, set()).add((run.folder, row['member']))
  shared = {
    label: {
      epoch: curves[label][epoch]
      for epoch in sorted(curves[label])
      if len(curves[label][epoch]) == len(trials[label])
    }
    for label in comparison.labels
    if label in curves
  }
  return {label: curve for label, curve in shared.items() if curve}


def _plot(axes: Axes, curves: _Curves, styles: Mapping[str, Style], name: str) -> None:
  means = {
    label: {epoch: statistics.mean(values) for epoch, values in curve.items()}
    for label, curve in curves.items()
  }
  # Thick lines first, as thin ones before them can be seen.
  order = sorted(means, key=lambda label: -styles[label].line_width)
  hidden = overlap.hidden({label: means[label] for label in order})
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
