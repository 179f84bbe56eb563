"""Calibration: expected calibration errors and reliability diagrams."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from pidkd_jax.report import statistics
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.figures.scatter import standard_deviation
from pidkd_jax.report.figures.selection import select_labels
from pidkd_jax.report.style import TEACHER_COLOUR, TEACHER_LINE, Style, label_styles
from pidkd_jax.report.trial import Trial

_BINS = 10
# With fewer images, a bin's accuracy is too noisy to draw.
_LEAST_IMAGES = 20
# Enough for a bar that is read by eye.
_RESAMPLES = 1000


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw calibration errors as bars and, from outputs, reliability diagrams of a few labels.

  Args:
    comparison: the runs whose cards and outputs are read.
    baseline: a label to draw prominently, or None.

  Returns:
    The figure and its caption, or None if no label has its calibration error.
  """
  errors = {
    label: [100 * t.value('results', 'calibration_error') for t in trials.values()]
    for label, trials in comparison.labels.items()
    if all(t.value('results', 'calibration_error') is not None for t in trials.values())
  }
  if not errors:
    return None
  styles = label_styles(comparison.labels, baseline)
  shown = [
    label
    for label in select_labels(comparison, baseline)
    if all(trial.outputs for trial in comparison.labels[label].values())
  ]
  height = max(5.2, 0.27 * len(errors) + 1.6)
  figure = Figure(figsize=(11 if shown else 7, height), dpi=100, layout='constrained')
  figure.suptitle(comparison.title)
  panels = figure.subplots(1, 2 if shown else 1, squeeze=False)[0]
  _bars(panels[0], errors, styles, comparison.teacher)
  caption = (
    'Calibration: expected calibration error in 15 bins, means over trials with standard '
    'deviations.'
  )
  if shown:
    _reliability(panels[1], comparison, shown, styles)
    caption += (
      ' Right: accuracy against confidence in ten bins, of a few labels with all trials together. '
      'Bars are 95% intervals over test images. Below the diagonal, a network is overconfident. '
      f'Bins with fewer than {_LEAST_IMAGES} predictions are left out.'
    )
  return figure, caption


def _bars(
  axes: Axes,
  errors: Mapping[str, Sequence[float]],
  styles: Mapping[str, Style],
  teacher: Trial | None,
) -> None:
  labels = sorted(errors, key=lambda label: np.mean(errors[label]))
  means = [float(np.mean(errors[label])) for label in labels]
  axes.barh(
    range(len(labels)),
    means,
    xerr=[standard_deviation(errors[label]) for label in labels],
    color=[styles[label].colour for label in labels],
    height=0.7,
    alpha=0.85,
    error_kw={'elinewidth': 1.2, 'ecolor': '#888888', 'capsize': 2.5},
  )
  axes.set_yticks(range(len(labels)), labels)
  axes.invert_yaxis()
  teacher_error = teacher.value('results', 'calibration_error') if teacher else None
  if teacher_error is not None:
    axes.axvline(100 * teacher_error, color=TEACHER_COLOUR, linestyle=TEACHER_LINE, linewidth=1.2)
    axes.annotate(
      'teacher',
      (100 * teacher_error, 1),
      xycoords=('data', 'axes fraction'),
      xytext=(0, 3),
      textcoords='offset points',
      ha='center',
      color=TEACHER_COLOUR,
      fontsize=9,
    )
  for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
    tick.set_fontweight(styles[label].font_weight)
  axes.set_xlabel('expected calibration error (%)')
  axes.grid(axis='x', alpha=0.25)
  axes.set_axisbelow(True)
  axes.tick_params(axis='y', length=0)
  axes.spines[['top', 'right', 'left']].set_visible(False)


def _reliability(
  axes: Axes, comparison: Comparison, labels: Sequence[str], styles: Mapping[str, Style]
) -> None:
  axes.plot([0, 100], [0, 100], color='#bbbbbb', linewidth=1, zorder=1)
  names, handles = list(labels), []
  for label in labels:
    trials, style = list(comparison.labels[label].values()), styles[label]
    handles.append(_line(axes, trials, style.colour, style.line, style.line_width))
  if comparison.teacher and comparison.teacher.outputs:
    names.append('teacher')
    handles.append(_line(axes, [comparison.teacher], TEACHER_COLOUR, TEACHER_LINE, 1.4))
  axes.set(
    xlabel='mean confidence (%)', ylabel='accuracy (%)', xlim=(0, 100), ylim=(0, 100), aspect=1
  )
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  canvas.legend(axes, handles, names, loc='upper left', frameon=False, fontsize=9)


def _line(
  axes: Axes, trials: Sequence[Trial], colour: str, line: str | tuple, width: float
) -> ErrorbarContainer:
  confidence, accuracy, low, high = 100 * _bins(trials)
  return axes.errorbar(
    confidence,
    accuracy,
    # Rounding could make a length of zero negative.
    yerr=np.maximum([accuracy - low, high - accuracy], 0),
    color=colour,
    linestyle=line,
    linewidth=width,
    marker='o',
    markersize=4,
    elinewidth=1,
    capsize=2,
  )


def _bins(trials: Sequence[Trial]) -> np.ndarray:
  """Return mean confidence, accuracy and its 95% interval, in [0, 1], of each bin: [4, bins].

  All trials come together. The interval resamples test images, each with its predictions of all
  trials. Bins with few predictions are left out.
  """
  outputs = [trial.require_outputs() for trial in trials]
  confidence = np.stack([one.confidence for one in outputs])
  correct = np.stack([one.correct for one in outputs])
  index = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
  # [bins, trials, images], whether a prediction is in a bin.
  within = index == np.arange(_BINS)[:, None, None]
  within = within[within.sum(axis=(1, 2)) >= _LEAST_IMAGES]
  counts, hits = within.sum(axis=1), (within & correct).sum(axis=1)
  means = statistics.resample_images(np.concatenate([hits, counts]), _RESAMPLES)
  # A bin may be empty in a resample.
  shares = means[: len(hits)] / np.maximum(means[len(hits) :], 1e-9)
  low, high = np.quantile(shares, [0.025, 0.975], axis=1) if len(hits) else np.empty((2, 0))
  total = counts.sum(axis=1)
  return np.stack(
    [(within * confidence).sum(axis=(1, 2)) / total, hits.sum(axis=1) / total, low, high]
  )
