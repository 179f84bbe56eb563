"""Differences in top-1 to a baseline, paired by trial and by test image."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.core.errors import unknown_name
from pidkd_jax.report import statistics
from pidkd_jax.report.comparison import Comparison, resample_top1
from pidkd_jax.report.trial import Trial

# Methods: the nearest rival, and the student without a teacher.
_DEFAULT_BASELINES = ('simkd', 'scratch')


@dataclasses.dataclass(frozen=True)
class Difference:
  """A label's top-1 minus the baseline's, in [-1, 1].

  Attributes:
    mean: mean over the trials that both have.
    low: lower end of the 95% interval; None if nothing could be resampled.
    high: upper end of the interval, or None.
    gains: the differences by trial, of the trials that both have.
    by_image: whether test images were resampled, too, as each of these trials kept its outputs.
  """

  mean: float
  low: float | None
  high: float | None
  gains: tuple[float, ...]
  by_image: bool

  @property
  def is_decided(self) -> bool:
    """Whether the interval leaves out 0."""
    return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


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
  return _differences(_pairs(comparison, baseline), comparison.resampled_top1)


def between(comparison: Comparison, first: str, second: str) -> Difference | None:
  """Return `first` minus `second`; None where they share no trial.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  pairs = {label: own for label, own in _pairs(comparison, second).items() if label == first}
  return _differences(pairs, comparison.resampled_top1).get(first)


def best(comparison: Comparison) -> set[str]:
  """Return the best label by mean top-1, with all that cannot be told from it.

  A label cannot be told from the best one where the 95% interval of their paired difference holds
  0, or where nothing could be resampled and the means are equal.
  """
  first = comparison.ranked[0]
  differences = to_baseline(comparison, first)
  return {first} | {
    label
    for label, difference in differences.items()
    if (
      math.isclose(difference.mean, 0, abs_tol=1e-12)
      if difference.low is None
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
  return _differences(pairs, resample_top1([*comparison.resampled_top1, teacher]))


def _differences(
  pairs: Mapping[str, Sequence[tuple[Trial, Trial]]], top1: Mapping[Trial, np.ndarray]
) -> dict[str, Difference]:
  """Return {label: difference}; `top1` has the trials whose images can be resampled."""
  differences = {}
  for label, label_pairs in pairs.items():
    gains = np.array(
      [a.value('results', 'top1') - b.value('results', 'top1') for a, b in label_pairs]
    )
    by_image = all(trial in top1 for pair in label_pairs for trial in pair)
    if by_image:
      means = np.stack([top1[a] - top1[b] for a, b in label_pairs])
    else:
      means = np.tile(gains[:, None], statistics.RESAMPLES)
    low, high = None, None
    if by_image or len(label_pairs) > 1:
      low, high = statistics.percentile_interval(statistics.resample_trials(means))
    differences[label] = Difference(float(gains.mean()), low, high, tuple(gains.tolist()), by_image)
  return differences


def explain(comparison: Comparison, baseline: str) -> str:
  """Return, for the reader of the table, how the differences were computed."""
  differences = to_baseline(comparison, baseline)
  counts = {label: len(difference.gains) for label, difference in differences.items()}
  if not counts:
    return f'No label shares a trial with {baseline}, so there are no differences to it.'
  by_trial = [label for label, difference in differences.items() if not difference.by_image]
  resampled = ['trials'] if max(counts.values()) > 1 else []
  resampled += ['test images'] if len(by_trial) < len(counts) else []
  text = (
    f'The difference to {baseline} is the mean over the trials that both have, each against the '
    'same trial'
  )
  if not resampled:
    return f'{text}; one trial without its outputs allows no interval.'
  text += (
    f'. Its 95% interval comes from {statistics.RESAMPLES:,} resamples of '
    f'{" and ".join(resampled)}, the same ones for both sides.'
  )
  single = [label for label, count in counts.items() if count == 1]
  if 'trials' not in resampled:
    text += ' With one trial, the interval does not include the variation between trials.'
  elif single:
    text += (
      f' Only one trial is shared by {", ".join(single)}: '
      'the interval does not include the variation between trials.'
    )
  if 'test images' not in resampled:
    text += ' The runs kept no outputs, so the test images were not resampled.'
  elif by_trial:
    text += (
      f' Outputs that belong to the difference of {", ".join(by_trial)} are missing, so the test '
      'images were not resampled there.'
    )
  if 'trials' in resampled:
    text += ' With a handful of trials, such an interval is too narrow rather than too wide.'
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
