"""A comparison at a glance: how accuracy grew, and where it ended."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pidkd_jax.report import paired_differences, statistics
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, overlap, scatter, teacher_line
from pidkd_jax.report.label_placement import label_line_ends
from pidkd_jax.report.style import TEACHER_COLOUR, Style, label_styles

# The growth is shown from this many times the last gap to the teacher below it.
_DEPTH = 4
_FONT_SIZE = 9.5
# The width of the figure in inches, without the room between its panels.
_WIDTH = 9.95
# The height of the columns' headings, in rows above the first label.
_HEADING = -0.68

# {label: {trial's number: {epoch: top-1 in percent}}}.
_Growth = Mapping[str, Mapping[int, Mapping[int, float]]]


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw top-1 by epoch, a thin line for each trial, and beside it the results as dots.

  Args:
    comparison: the runs whose metrics, cards and outputs are read.
    baseline: a label to draw prominently and to compare with, or None.

  Returns:
    The figure and its caption, or None if the runs were never evaluated.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  split, growth = _read_growth(comparison)
  if not growth:
    return None
  styles = label_styles(comparison.labels, baseline)
  teacher = comparison.teacher
  target = scatter.top1([teacher])[0] if teacher else None
  caption = 'Top-1 on the test images. Dots are trials, and diamonds their means.'
  intervals = _intervals(comparison)
  if intervals:
    caption += ' Bars are 95% intervals over trials and test images.'
  if has_grown := len({epoch for own in growth.values() for t in own.values() for epoch in t}) > 1:
    caption = (
      f'Left: {split} top-1 by epoch. Thin lines are trials, thick lines their means; one that '
      f'runs along another is dotted. Right: {caption[0].lower()}{caption[1:]}'
    )
  figure, *left, right = _panels(comparison, 2 if has_grown else 1)
  for axes in left:
    _draw_growth(axes, split, growth, styles, target if split == 'test' else None)
  _draw_results(right, comparison, styles, baseline, target, intervals)
  for axes in (*left, right):
    axes.spines[['top', 'right']].set_visible(False)
  if baseline and len(comparison.labels) > 1:
    caption += f' Differences to {baseline} are paired by trial'
    caption += (
      ' and by image, so their intervals are not those of the bars.' if comparison.correct else '.'
    )
  return figure, caption


def _panels(comparison: Comparison, count: int) -> tuple[Figure, *tuple[Axes, ...]]:
  """Return a titled figure and its panels, with the same room for any labels.

  Args:
    comparison: whose labels are written.
    count: 2 for growth and results, which write their labels between them; 1 for results.
  """
  # In inches.
  between = 1.55 + 0.17 * max(0, max(map(len, comparison.labels)) - 7)
  height = 2.1 + 0.6 * len(comparison.labels)
  width = _WIDTH + between
  figure = Figure(figsize=(width, height), dpi=100)
  panels = figure.subplots(1, count, width_ratios=(1, 1.1)[-count:], squeeze=False)[0]
  figure.subplots_adjust(
    left=(0.58 if count > 1 else between) / width,
    right=1 - 1.96 / width,
    top=1 - 0.66 / height,
    bottom=0.52 / height,
    wspace=2 * between / (_WIDTH - 0.58 - 1.96),
  )
  figure.suptitle(
    comparison.title, x=0.35 / width, y=1 - 0.12 / height, ha='left', va='top', fontsize=12
  )
  return figure, *panels


def _read_growth(comparison: Comparison) -> tuple[str, _Growth]:
  """Return the split that was evaluated along the way, and its accuracies."""
  rows = [row for run in comparison.runs for row in run.rows]
  split = 'holdout' if any('holdout_top1' in row for row in rows) else 'test'
  growth = {}
  for run in comparison.runs:
    trials = {trial.name: trial for trial in run.trials}
    for row in run.rows:
      if f'{split}_top1' in row and row['member'] in trials:
        trial = trials[row['member']]
        curve = growth.setdefault(trial.label, {}).setdefault(trial.number, {})
        curve[row['epoch']] = 100 * row[f'{split}_top1']
  return split, {label: growth[label] for label in comparison.labels if label in growth}


def _mean(trials: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
  """Return {epoch: mean over the trials} of the epochs that all trials have."""
  shared = sorted(set.intersection(*(set(curve) for curve in trials.values())))
  return {epoch: float(np.mean([curve[epoch] for curve in trials.values()])) for epoch in shared}


def _draw_growth(
  axes: Axes, split: str, growth: _Growth, styles: Mapping[str, Style], target: float | None
) -> None:
  means = {label: mean for label, trials in growth.items() if (mean := _mean(trials))}
  hidden = overlap.hidden(means)
  for label, mean in means.items():
    style, trials = styles[label], growth[label]
    marker = 'o' if len(mean) == 1 else None
    if len(trials) > 1:
      for curve in trials.values():
        axes.plot(list(curve), list(curve.values()), color=style.colour, linewidth=0.7, alpha=0.35)
    axes.plot(
      list(mean),
      list(mean.values()),
      color=style.colour,
      linestyle=overlap.LINE if label in hidden else style.line,
      linewidth=2.4,
      marker=marker,
      # A line that is dotted lies in front of the one that it runs along.
      zorder=style.zorder + (3 if label in hidden else 1),
    )
  ends = {label: (max(mean), mean[max(mean)]) for label, mean in means.items()}
  if target is not None:
    gap = max(target - min(height for _, height in ends.values()), 1)
    highest = max(target, *(height for _, height in ends.values()))
    axes.set_ylim(max(0, target - _DEPTH * gap), min(100, highest + 0.5 * gap))
    teacher_line.draw_below_left(axes, target, 'teacher', _FONT_SIZE)
  axes.set_xlim(0, max(epoch for epoch, _ in ends.values()))
  axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
  axes.set_xlabel('epoch', fontsize=_FONT_SIZE)
  title = f'{split} top-1 (%) by epoch'
  if any(len(trials) > 1 for trials in growth.values()):
    title += '; thin: trials, thick: mean'
  axes.set_title(title, fontsize=_FONT_SIZE, loc='left')
  axes.grid(axis='y', alpha=0.25)
  label_line_ends(axes, ends, styles)


def _draw_results(
  axes: Axes,
  comparison: Comparison,
  styles: Mapping[str, Style],
  baseline: str | None,
  target: float | None,
  intervals: Mapping[str, tuple[float, float]],
) -> None:
  labels = comparison.ranked
  differences = paired_differences.to_baseline(comparison, baseline) if baseline else {}
  for row, label in enumerate(labels):
    style, values = styles[label], scatter.top1(comparison.labels[label].values())
    mean = float(np.mean(values))
    if label in intervals:
      axes.plot(intervals[label], (row, row), color=style.colour, linewidth=1.6, zorder=2)
    axes.plot(
      mean, row, marker='D', color=style.colour, markersize=9, zorder=4, markeredgecolor='white'
    )
    # Equal trials stand below each other.
    repeats = [values[:i].count(value) for i, value in enumerate(values)]
    axes.scatter(
      values,
      [row + 0.2 + 0.1 * repeat for repeat in repeats],
      s=26,
      color=style.colour,
      alpha=0.55,
      linewidths=0,
      zorder=3,
    )
    look = {'color': style.colour, 'fontweight': style.font_weight}
    _write(axes, 0, row, f'{mean:.1f}', **look)
    if label in differences:
      _write(axes, 1, row, differences[label].points(1).replace('-', '\N{MINUS SIGN}'), **look)
  if target is not None:
    axes.axvline(target, **teacher_line.LOOK)
    axes.annotate(
      f'teacher {target:.1f}',
      (target, _HEADING),
      xytext=(4, 0),
      textcoords='offset points',
      ha='right',
      va='center',
      annotation_clip=False,
      fontsize=_FONT_SIZE,
      color=TEACHER_COLOUR,
    )
  axes.set_ylim(len(labels) - 0.3, -0.5)
  axes.set_yticks(range(len(labels)), labels, fontsize=_FONT_SIZE + 0.5)
  axes.tick_params(axis='y', length=0)
  for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
    tick.set(color=styles[label].colour, fontweight=styles[label].font_weight)
  axes.margins(x=0.06)
  axes.grid(axis='x', alpha=0.25)
  axes.spines['left'].set_visible(False)
  key = 'test top-1 (%); dots: trials, diamond: mean' + (', bar: 95% interval' if intervals else '')
  axes.set_xlabel(key, fontsize=_FONT_SIZE)
  _write(axes, 0, _HEADING, 'mean', color=TEACHER_COLOUR)
  if differences:
    _write(axes, 1, _HEADING, f'minus {baseline} [95%]', color=TEACHER_COLOUR)


def _write(axes: Axes, column: int, row: float, text: str, **look: Any) -> None:
  """Write into a column to the right of the axes."""
  axes.annotate(
    text,
    (1.04 + 0.12 * column, row),
    xycoords=('axes fraction', 'data'),
    va='center',
    annotation_clip=False,
    fontsize=_FONT_SIZE,
    **look,
  )


def _intervals(comparison: Comparison) -> dict[str, tuple[float, float]]:
  """Return {label: 95% interval of its mean top-1 in percent} where each trial has its outputs."""
  right = comparison.correct
  found = {}
  for label, trials in comparison.labels.items():
    if all(trial in right for trial in trials.values()):
      values = np.stack([right[trial] for trial in trials.values()])
      if interval := statistics.crossed_interval(100 * values):
        found[label] = interval
  return found
