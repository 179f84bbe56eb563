"""What the classifiers read, seen from the side."""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from pidkd_jax.report.figures.selection import selected
from pidkd_jax.report.runs import Comparison, Trial

_CLASSES = 8
_COLUMNS = 3
# Principal components need as many images.
_LEAST = 3


def draw(comparison: Comparison, base: str | None) -> tuple[Figure, str] | None:
  """Pooled features of the teacher and a few students on two principal components.

  A student that aligns its features with the teacher's, with as many channels, is seen along the
  teacher's axes and at their scale; any other has axes of its own.

  Args:
    comparison: whose outputs are read; of each label the first trial.
    base: a label that is shown, or None.
  """
  teacher = comparison.teacher
  if teacher is None or teacher.outputs is None:
    return None
  truth = teacher.outputs.label[: len(teacher.outputs.pooled)]
  classes = np.unique(truth)[:_CLASSES]
  shown = np.isin(truth, classes)
  if shown.sum() < _LEAST or teacher.outputs.pooled.shape[1] < 2:
    return None
  first = {label: next(iter(trials.values())) for label, trials in comparison.labels.items()}
  students = {label: first[label] for label in selected(comparison, base) if first[label].outputs}
  theirs = _pooled(teacher)[shown]
  frame = PCA(2, svd_solver='full').fit(theirs)
  # Those along the teacher's axes stand beside it.
  common = {
    label: trial for label, trial in students.items() if _aligned(trial, frame.n_features_in_)
  }
  students = common | students
  lines = math.ceil((len(students) + 2) / _COLUMNS)
  figure = Figure(figsize=(9.6, 3.6 * lines + 0.3), dpi=100, layout='constrained')
  figure.suptitle(comparison.title)
  *panels, key = figure.subplots(lines, _COLUMNS).flat
  for axes in (*panels[len(students) + 1 :], key):
    axes.axis('off')
  colours = colormaps['tab10'](np.searchsorted(classes, truth[shown]) % 10)
  seen = {0: frame.transform(theirs)}
  _panel(panels[0], seen[0], colours, f'teacher {teacher.network}', theirs)
  for place, (label, trial) in enumerate(students.items(), start=1):
    pooled = _pooled(trial)[shown]
    own = frame if label in common else PCA(2, svd_solver='full').fit(pooled)
    found = own.transform(pooled)
    which = "the teacher's axes" if label in common else 'own axes'
    _panel(panels[place], found, colours, f'{label} {trial.network}, {which}', pooled)
    if label in common:
      seen[place] = found
  _same_limits([panels[place] for place in seen], np.concatenate(list(seen.values())))
  names = comparison.card['dataset']['class_names'] or [str(i) for i in range(truth.max() + 1)]
  handles = [
    panels[0].plot([], [], 'o', color=colormaps['tab10'](i % 10), label=names[kind])[0]
    for i, kind in enumerate(classes)
  ]
  key.legend(handles=handles, loc='center', frameon=False)
  caption = (
    f'What the classifiers read of {shown.sum()} test images of {len(classes)} classes, on two '
    "principal components: the teacher, students that align with it along the teacher's axes "
    'and at one scale, others along axes of their own, whose directions and scale mean nothing '
    'between panels. The percentage is the share of the variance that the two axes hold; first '
    'trial of each.'
  )
  return figure, caption


def _pooled(trial: Trial) -> np.ndarray:
  """Half precision is for the disk."""
  return trial.outputs.pooled.astype(np.float64)


def _aligned(trial: Trial, channels: int) -> bool:
  aligns = trial.value('results', 'alignment_error') is not None
  return aligns and trial.outputs.pooled.shape[1] == channels


def _panel(axes: Axes, found: np.ndarray, colours, title: str, whole: np.ndarray) -> None:
  axes.scatter(*found.T, c=colours, s=13, alpha=0.75, linewidths=0)
  total = whole.var(axis=0).sum()
  share = found.var(axis=0).sum() / total if total else 0.0
  axes.set_title(f'{title}\n{100 * share:.0f}% of the variance', fontsize=10)
  axes.set(xticks=[], yticks=[], box_aspect=1)
  axes.spines[:].set_color('#bbbbbb')


def _same_limits(panels, seen: np.ndarray) -> None:
  low, high = seen.min(axis=0), seen.max(axis=0)
  room = 0.05 * (high - low).max()
  for axes in panels:
    axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
