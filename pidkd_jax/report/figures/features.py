"""Pooled features, the classifiers' inputs, on two principal components."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from pidkd_jax.report import class_names
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.figures.selection import select_labels
from pidkd_jax.report.trial import Trial

_MOST_CLASSES = 8
_COLUMNS = 3
# Two principal components need as many channels, and one image more for their mean.
_LEAST_CHANNELS, _LEAST_IMAGES = 2, 3


@canvas.literal_text()
def draw(comparison: Comparison, baseline: str | None) -> tuple[Figure, str] | None:
  """Draw pooled features of the teacher and of a few students on two principal components.

  A student that aligns its features with the teacher's has the teacher's axes and their scale, if
  its features have as many channels. Any other student has axes of its own. One whose features
  have a single channel is not shown.

  Args:
    comparison: the runs; the outputs of each label's first trial are read.
    baseline: a label to show among the few, or None.

  Returns:
    The figure and its caption, or None if the teacher's outputs are missing or too few.
  """
  teacher = comparison.teacher
  if teacher is None or teacher.outputs is None:
    return None
  truth = teacher.outputs.label[: len(teacher.outputs.pooled)]
  classes = np.unique(truth)[:_MOST_CLASSES]
  shown = np.isin(truth, classes)
  if shown.sum() < _LEAST_IMAGES or not _has_plane(teacher):
    return None
  trials = {label: next(iter(numbered.values())) for label, numbered in comparison.labels.items()}
  students = {
    label: trials[label]
    for label in select_labels(comparison, baseline)
    if trials[label].outputs and _has_plane(trials[label])
  }
  teacher_features = _pooled(teacher)[shown]
  teacher_pca = PCA(2, svd_solver='full').fit(teacher_features)
  # Students along the teacher's axes stand beside it.
  channels = teacher_features.shape[1]
  aligned = {label: trial for label, trial in students.items() if _is_aligned(trial, channels)}
  students = aligned | students
  lines = math.ceil((len(students) + 2) / _COLUMNS)
  figure = Figure(figsize=(9.6, 3.6 * lines + 0.3), dpi=100, layout='constrained')
  figure.suptitle(comparison.title)
  *panels, key = figure.subplots(lines, _COLUMNS).flat
  for axes in (*panels[len(students) + 1 :], key):
    axes.axis('off')
  colours = colormaps['tab10'](np.searchsorted(classes, truth[shown]) % 10)
  # {panel: points} of the panels that share the teacher's axes.
  shared = {0: teacher_pca.transform(teacher_features)}
  _panel(panels[0], shared[0], colours, f'teacher {teacher.network}', teacher_features)
  for index, (label, trial) in enumerate(students.items(), start=1):
    features = _pooled(trial)[shown]
    pca = teacher_pca if label in aligned else PCA(2, svd_solver='full').fit(features)
    points = pca.transform(features)
    kind = "the teacher's axes" if label in aligned else 'own axes'
    _panel(panels[index], points, colours, f'{label} {trial.network}, {kind}', features)
    if label in aligned:
      shared[index] = points
  _share_limits([panels[index] for index in shared], np.concatenate(list(shared.values())))
  names = class_names.readable(teacher.value('dataset', 'class_names') or [])
  handles = [
    panels[0].plot([], [], 'o', color=colormaps['tab10'](i % 10))[0] for i in range(len(classes))
  ]
  shown_names = [names[kind] if kind < len(names) else str(kind) for kind in classes]
  canvas.legend(key, handles, shown_names, loc='center', frameon=False)
  caption = (
    f'Pooled features, which the classifiers read, of {shown.sum()} test images of {len(classes)} '
    'classes on two principal components; the first trial of each label. Students that align with '
    'the teacher are drawn along its axes at one scale. Others have axes of their own, whose '
    'directions and scale do not compare between panels. The percentage is the share of the '
    'variance along the two axes.'
  )
  return figure, caption


def _pooled(trial: Trial) -> np.ndarray:
  """Return pooled features in double precision; outputs keep them in half precision."""
  return trial.require_outputs().pooled.astype(np.float64)


def _has_plane(trial: Trial) -> bool:
  return trial.require_outputs().pooled.shape[1] >= _LEAST_CHANNELS


def _is_aligned(trial: Trial, channels: int) -> bool:
  """Return whether a trial aligns its features with a teacher's of so many channels."""
  aligns = trial.value('results', 'alignment_error') is not None
  return aligns and trial.require_outputs().pooled.shape[1] == channels


def _panel(
  axes: Axes, points: np.ndarray, colours: np.ndarray, title: str, features: np.ndarray
) -> None:
  axes.scatter(*points.T, c=colours, s=13, alpha=0.75, linewidths=0)
  total = features.var(axis=0).sum()
  share = points.var(axis=0).sum() / total if total else 0.0
  axes.set_title(f'{title}\n{100 * share:.0f}% of the variance', fontsize=10)
  axes.set(xticks=[], yticks=[], box_aspect=1)
  axes.spines[:].set_color('#bbbbbb')


def _share_limits(panels: Sequence[Axes], points: np.ndarray) -> None:
  low, high = points.min(axis=0), points.max(axis=0)
  margin = 0.05 * (high - low).max()
  for axes in panels:
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
