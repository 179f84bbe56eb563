"""Differences in top-1 to a baseline, paired by trial and by test image."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pidkd_jax.core.errors import unknown_name
from pidkd_jax.report import statistics
from pidkd_jax.report.comparison import Comparison, correct
from pidkd_jax.report.trial import Trial

# Methods: the nearest rival, and the student without a teacher.
_DEFAULT_BASELINES = ('simkd', 'scratch')


@dataclasses.dataclass(frozen=True)
class Difference:
  """A label's top-1 minus the baseline's, in [-1, 1].

  Attributes:
    mean: mean over the trials that both have.
    interval: the two ends of its 95% interval; None if nothing allows one.
    gains: the differences by trial, of the trials that both have.
    by_image: whether the interval is over test images, too, as each of these trials kept its
      outputs.
  """

  mean: float
  interval: tuple[float, float] | None
  gains: tuple[float, ...]
  by_image: bool

  @property
  def is_decided(self) -> bool:
    """Whether the interval leaves out 0."""
    return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

  def points(self, digits: int) -> str:
    """Return mean and interval in points, as '+1.23 [+0.45, +2.01]'."""
    ends = [f'{100 * end:+.{digits}f}' for end in self.interval or ()]
    return f'{100 * self.mean:+.{digits}f}' + (f' [{", ".join(ends)}]' if ends else '')


def choose_baseline(comparison: Comparison, requested: str | None) -> str | None:
  """Return the label that others are compared with.

  Args:
    comparison: the runs.
    requested: the label to use; None for the first label of the method simkd, else of scratch, the
      plain student, else the first label. Of several labels, one that is the method's name counts.

  Returns:
    The label, or None if the comparison lacks the requested one.
  """
  labels = comparison.labels
  if requested:
    return requested if requested in labels else None
  methods = {label: next(iter(own.values())).settings['method'] for label, own in labels.items()}
  for method in _DEFAULT_BASELINES:
    found = [label for label in labels if methods[label] == method]
    if found:
      return method if method in found else found[0]
  return next(iter(labels))


def require_baseline(comparisons: Sequence[Comparison], requested: str | None) -> None:
  """Raise UserError if no comparison has the requested baseline."""
  labels = {label for comparison in comparisons for label in comparison.labels}
  if requested and requested not in labels:
    raise unknown_name('baseline', requested, labels)


def to_baseline(comparison: Comparison, baseline: str) -> dict[str, Difference]:
  """Return {label: difference} for every other label that shares a trial with the baseline.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  return _differences(_pairs(comparison, baseline), comparison.correct)


def between(comparison: Comparison, first: str, second: str) -> Difference | None:
  """Return `first` minus `second`; None where they share no trial.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  pairs = {label: own for label, own in _pairs(comparison, second).items() if label == first}
  return _differences(pairs, comparison.correct).get(first)


def resampled(
  comparison: Comparison, contrasts: Collection[tuple[str, str]]
) -> list[tuple[float, float] | None]:
  """Return the 95% interval of each `first` minus `second` by resamples of trials and images.

  All share each draw. Such an interval is rough. It counts what differs by trial and image at once
  up to three times (Owen 2007, Annals of Applied Statistics 1(2), 386-411), and of what T trials
  differ by as a whole it misses a T-th. Where outputs are missing, trials alone are resampled.

  Args:
    comparison: the runs.
    contrasts: pairs of labels that share a trial.
  """
  pairs = [_pairs(comparison, second)[first] for first, second in contrasts]
  right = comparison.correct
  kept = [all(trial in right for pair in own for trial in pair) for own in pairs]
  rows = [
    right[a] - right[b]
    for own, all_kept in zip(pairs, kept, strict=True)
    if all_kept
    for a, b in own
  ]
  means = iter(statistics.resample_images(np.stack(rows)) if rows else ())
  found = []
  for own, all_kept in zip(pairs, kept, strict=True):
    if all_kept:
      drawn = np.stack([next(means) for _ in own])
    else:
      drawn = np.tile(_gains(own)[:, None], statistics.RESAMPLES)
    allowed = all_kept or len(own) > 1
    samples = statistics.resample_trials(drawn)
    found.append(statistics.percentile_interval(samples) if allowed else None)
  return found


def best(comparison: Comparison) -> set[str]:
  """Return the best label by mean top-1, with all that cannot be told from it.

  A label cannot be told from the best one where the 95% interval of their paired difference holds
  0, or where there is none and the means are equal.
  """
  first = comparison.ranked[0]
  differences = to_baseline(comparison, first)
  return {first} | {
    label
    for label, difference in differences.items()
    if (
      math.isclose(difference.mean, 0, abs_tol=1e-12)
      if difference.interval is None
      else not difference.is_decided
    )
  }


def to_teacher(comparison: Comparison) -> dict[str, Difference]:
  """Return {label: difference} to the teacher; {} if no run describes it.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  teacher = comparison.teacher
  if teacher is None:
    return {}
  pairs = {
    label: [(trial, teacher) for trial in trials.values()]
    for label, trials in comparison.labels.items()
  }
  if not teacher.outputs:
    return _differences(pairs, {})
  return _differences(pairs, correct([*comparison.correct, teacher]))


def _differences(
  pairs: Mapping[str, Sequence[tuple[Trial, Trial]]], right: Mapping[Trial, np.ndarray]
) -> dict[str, Difference]:
  """Return {label: difference}; `right` has the trials that kept their outputs, as `correct`."""
  differences = {}
  for label, own in pairs.items():
    gains = _gains(own)
    by_image = all(trial in right for pair in own for trial in pair)
    interval = None
    if by_image:
      interval = statistics.crossed_interval(np.stack([right[a] - right[b] for a, b in own]))
    elif test := statistics.t_test(gains.tolist()):
      interval = test[:2]
    mean = float(gains.mean())
    differences[label] = Difference(mean, interval, tuple(gains.tolist()), by_image)
  return differences


def _gains(pairs: Sequence[tuple[Trial, Trial]]) -> np.ndarray:
  return np.array([a.value('results', 'top1') - b.value('results', 'top1') for a, b in pairs])


def explain(comparison: Comparison, baseline: str) -> str:
  """Return, for the reader of the table, how the differences were computed."""
  differences = to_baseline(comparison, baseline)
  counts = {label: len(difference.gains) for label, difference in differences.items()}
  if not counts:
    return f'No label shares a trial with {baseline}, so there are no differences to it.'
  by_trial = [label for label, difference in differences.items() if not difference.by_image]
  several = max(counts.values()) > 1
  over = ['trials'] if several else []
  over += ['test images'] if len(by_trial) < len(counts) else []
  text = (
    f'The difference to {baseline} is the mean over the trials that both have, each against the '
    'same trial'
  )
  if not over:
    return f'{text}; one trial without its outputs allows no interval.'
  text += f'. Its 95% interval is over {" and ".join(over)}, as drawn from more.'
  single = [label for label, count in counts.items() if count == 1]
  if not several:
    text += ' With one trial, it does not include the variation between trials.'
  elif single:
    text += (
      f' Only one trial is shared by {", ".join(single)}: '
      'the interval does not include the variation between trials.'
    )
  if 'test images' not in over:
    text += " The runs kept no outputs, so it is Student's t over trials alone."
  elif by_trial:
    text += (
      f' Outputs that belong to the difference of {", ".join(by_trial)} are missing, so the '
      'interval there is over trials alone.'
    )
  if any(count == 2 for count in counts.values()):
    text += ' Two trials tell little of their own spread.'
  return text


def _pairs(comparison: Comparison, baseline: str) -> dict[str, list[tuple[Trial, Trial]]]:
  """Return {label: [(its trial, the baseline's trial of the same number)]} of shared trials."""
  references = comparison.labels[baseline]
  pairs = {
    label: [(trial, references[number]) for number, trial in trials.items() if number in references]
    for label, trials in comparison.labels.items()
    if label != baseline
  }
  return {label: label_pairs for label, label_pairs in pairs.items() if label_pairs}
