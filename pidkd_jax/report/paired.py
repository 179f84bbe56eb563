"""Differences in top-1 to a baseline, trial by trial and image by image."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.report import statistics
from pidkd_jax.report.runs import Comparison, Trial

_PREFERRED = ('simkd', 'scratch')


@dataclasses.dataclass(frozen=True)
class Difference:
  """top-1 of a label minus the baseline's, in [-1, 1].

  Attributes:
    mean: over the trials that both have.
    low, high: a 95% interval, or None where nothing could be resampled.
    trials: how many both have.
  """

  mean: float
  low: float | None
  high: float | None
  trials: int


def baseline(comparison: Comparison, wanted: str | None) -> str | None:
  """The label that others are compared with: the wanted one, None if it is not there.

  By default SimKD, else training alone, else the first label.
  """
  labels = comparison.labels
  if wanted:
    return wanted if wanted in labels else None
  return next((label for label in _PREFERRED if label in labels), next(iter(labels)))


def check(comparisons: Sequence[Comparison], wanted: str | None) -> None:
  """Raises UserError where no comparison has the wanted baseline."""
  known = {label for comparison in comparisons for label in comparison.labels}
  if wanted and wanted not in known:
    raise unknown_name('baseline', wanted, known)


def differences(comparison: Comparison, base: str) -> dict[str, Difference]:
  """{label: its difference} of every other label that shares a trial with the baseline.

  Raises:
    UserError: outputs are damaged or of other images.
  """
  return _differences(_pairs(comparison, base), by_image(comparison))


def to_teacher(comparison: Comparison) -> dict[str, Difference]:
  """{label: its difference} to the one teacher, {} where it is not known.

  Raises:
    UserError: outputs are damaged or of other images.
  """
  teacher = comparison.teacher
  if teacher is None:
    return {}
  pairs = {
    label: [(trial, teacher) for trial in trials.values()]
    for label, trials in comparison.labels.items()
  }
  return _differences(pairs, bool(teacher.outputs) and by_image(comparison))


def _differences(
  pairs: Mapping[str, Sequence[tuple[Trial, Trial]]], with_images: bool
) -> dict[str, Difference]:
  if not pairs:
    return {}
  every = [pair for found in pairs.values() for pair in found]
  # Of runs that kept no outputs the trials are resampled alone.
  resampled = None
  if with_images:
    truth = every[0][0].outputs.label
    odd = [t for pair in every for t in pair if not np.array_equal(t.outputs.label, truth)]
    if odd:
      raise UserError(
        f'the outputs of {odd[0].name} in {str(odd[0].folder)!r} are of other images than those of '
        f'{every[0][0].name}; copy the runs again'
      )
    hits = [ours.outputs.correct.astype(np.int8) - theirs.outputs.correct for ours, theirs in every]
    resampled = statistics.over_images(np.stack(hits))
  found, start = {}, 0
  for label, own in pairs.items():
    gains = np.array([a.value('results', 'top1') - b.value('results', 'top1') for a, b in own])
    if resampled is not None:
      means = resampled[start : start + len(own)]
    else:
      means = np.tile(gains[:, None], statistics.RESAMPLES)
    start += len(own)
    sure = resampled is None and len(own) == 1
    low, high = (None, None) if sure else statistics.interval(statistics.over_trials(means))
    found[label] = Difference(float(gains.mean()), low, high, len(own))
  return found


def explanation(comparison: Comparison, base: str) -> str:
  """How the differences came about, for the reader of the table."""
  counts = {label: len(own) for label, own in _pairs(comparison, base).items()}
  if not counts:
    return f'No label shares a trial with {base}, so there are no differences to it.'
  drawn = ['trials'] if max(counts.values()) > 1 else []
  drawn += ['test images'] if by_image(comparison) else []
  text = (
    f'The difference to {base} is the mean over the trials that both have, each against the '
    'same trial'
  )
  if not drawn:
    return f'{text}; one trial without its outputs allows no interval.'
  text += (
    f'; its 95% interval comes from {statistics.RESAMPLES:,} resamples of {" and ".join(drawn)}, '
    'the same ones for both sides.'
  )
  single = [label for label, count in counts.items() if count == 1]
  if 'trials' not in drawn:
    text += ' With one trial it says nothing of how trials differ.'
  elif single:
    text += f' Only one trial is shared by {", ".join(single)}: how trials differ is not in it.'
  if 'test images' not in drawn:
    text += ' The runs kept no outputs, so the test images were not resampled.'
  if 'trials' in drawn:
    text += ' A handful of trials makes such an interval too narrow rather than too wide.'
  return text


def by_image(comparison: Comparison) -> bool:
  """Whether every trial's outputs are known."""
  return all(t.outputs for trials in comparison.labels.values() for t in trials.values())


def _pairs(comparison: Comparison, base: str) -> dict[str, list[tuple[Trial, Trial]]]:
  """{label: (its trial, the baseline's of the same number), ...}, where they share any."""
  against = comparison.labels[base]
  pairs = {
    label: [(trial, against[number]) for number, trial in trials.items() if number in against]
    for label, trials in comparison.labels.items()
    if label != base
  }
  return {label: own for label, own in pairs.items() if own}
