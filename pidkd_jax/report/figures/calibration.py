"""How far confidence can be trusted."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pidkd_jax.report import style
from pidkd_jax.report.figures import points
from pidkd_jax.report.figures.selection import selected
from pidkd_jax.report.runs import Comparison, Trial

_BINS = 10
# A bin with fewer images says nothing.
_LEAST = 20


def draw(comparison: Comparison, base: str | None) -> tuple[Figure, str] | None:
  """Calibration errors as bars and, where outputs were kept, reliability diagrams of a few.

  Args:
    comparison: whose cards and outputs are read.
    base: a label to be drawn prominently, or None.
  """
  errors = {
    label: [100 * t.value('results', 'calibration_error') for t in trials.values()]
    for label, trials in comparison.labels.items()
    if all(t.value('results', 'calibration_error') is not None for t in trials.values())
  }
  if not errors:
    return None
  looks = style.styles(comparison.labels, base)
  shown = [
    label
    for label in selected(comparison, base)
    if all(trial.outputs for trial in comparison.labels[label].values())
  ]
  height = max(5.2, 0.27 * len(errors) + 1.6)
  figure = Figure(figsize=(11 if shown else 7, height), dpi=100, layout='constrained')
  figure.suptitle(comparison.title)
  panels = figure.subplots(1, 2 if shown else 1, squeeze=False)[0]
  _bars(panels[0], errors, looks, comparison.teacher)
  caption = (
    'Calibration: expected calibration error (15 bins), means over trials with standard deviations'
  )
  if shown:
    _reliability(panels[1], comparison, shown, looks)
    caption += (
      '; right, accuracy against confidence of a few in ten bins, all trials together; below the '
      f'diagonal a network is too sure of itself. Bins with fewer than {_LEAST} predictions are '
      'left out'
    )
  return figure, caption + '.'


def _bars(axes: Axes, errors, looks, teacher: Trial | None) -> None:
  labels = sorted(errors, key=lambda label: np.mean(errors[label]))
  means = [float(np.mean(errors[label])) for label in labels]
  axes.barh(
    labels,
    means,
    xerr=[points.spread(errors[label]) for label in labels],
    color=[looks[label].colour for label in labels],
    height=0.7,
    alpha=0.85,
    error_kw={'elinewidth': 1.2, 'ecolor': '#888888', 'capsize': 2.5},
  )
  axes.invert_yaxis()
  known = teacher.value('results', 'calibration_error') if teacher else None
  if known is not None:
    axes.axvline(100 * known, color=style.TEACHER, linestyle=style.TEACHER_LINE, linewidth=1.2)
    axes.annotate(
      'teacher',
      (100 * known, 1),
      xycoords=('data', 'axes fraction'),
      xytext=(0, 3),
      textcoords='offset points',
      ha='center',
      color=style.TEACHER,
      fontsize=9,
    )
  for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
    tick.set_fontweight(looks[label].weight)
  axes.set_xlabel('expected calibration error (%)')
  axes.grid(axis='x', alpha=0.25)
  axes.set_axisbelow(True)
  axes.tick_params(axis='y', length=0)
  axes.spines[['top', 'right', 'left']].set_visible(False)


def _reliability(axes: Axes, comparison: Comparison, shown, looks) -> None:
  axes.plot([0, 100], [0, 100], color='#bbbbbb', linewidth=1, zorder=1)
  for label in shown:
    look = looks[label]
    _line(axes, list(comparison.labels[label].values()), label, look.colour, look.line, look.width)
  if comparison.teacher and comparison.teacher.outputs:
    _line(axes, [comparison.teacher], 'teacher', style.TEACHER, style.TEACHER_LINE, 1.4)
  axes.set(
    xlabel='mean confidence (%)', ylabel='accuracy (%)', xlim=(0, 100), ylim=(0, 100), aspect=1
  )
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  axes.legend(loc='upper left', frameon=False, fontsize=9)


def _line(axes: Axes, trials, label: str, colour: str, line, width: float) -> None:
  confidence = np.concatenate([trial.outputs.confidence for trial in trials])
  correct = np.concatenate([trial.outputs.correct for trial in trials])
  index = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
  counts = np.bincount(index, minlength=_BINS)
  enough = counts >= _LEAST
  means = [
    100 * np.bincount(index, values, _BINS)[enough] / counts[enough]
    for values in (confidence, correct)
  ]
  axes.plot(
    *means, label=label, color=colour, linestyle=line, linewidth=width, marker='o', markersize=4
  )
