"""The closing sentences of a run on few images: what it shows, and what it does not."""

import numpy as np

from pidkd_jax.report import paired_differences
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import scatter
from pidkd_jax.report.paired_differences import Difference
from pidkd_jax.report.trial import Trial

_ALONE = 'scratch'
# With more rows, the sentence would repeat the table.
_MOST = 3


def sentences(comparison: Comparison) -> list[str]:
  """Return what a comparison of few-shot students with the student alone shows, and what not.

  Returns:
    Two sentences; [] unless few images of each class were trained on, and the comparison has a
    teacher, the student alone, and one to three others.

  Raises:
    UserError: Outputs are damaged, or are those of other images.
  """
  taught = [label for label in comparison.labels if label != _ALONE]
  if (
    not comparison.shots
    or comparison.teacher is None
    or _ALONE not in comparison.labels
    or not 1 <= len(taught) <= _MOST
  ):
    return []
  return [_shown(comparison, comparison.teacher, taught), _not_shown(comparison, taught)]


def _shown(comparison: Comparison, teacher: Trial, taught: list[str]) -> str:
  alone = comparison.first(_ALONE)
  results = [f'{_top1(comparison, _ALONE)} alone']
  for label in taught:
    trial = comparison.first(label)
    facts = [] if trial.value('training', 'needs_labels') in (None, True) else ['no labels']
    facts.append(_size(trial, alone))
    results.append(f'{_top1(comparison, label)} with {label} ({", ".join(facts)})')
  seen = ', which saw all images,' if _saw_all(comparison, teacher) else ''
  return (
    f'Shown: with {comparison.shots} training images of each class, {alone.network} reaches '
    f'{", ".join(results[:-1])} and {results[-1]}; the teacher{seen} reaches '
    f'{scatter.top1([teacher])[0]:.1f}%.'
  )


def _not_shown(comparison: Comparison, taught: list[str]) -> str:
  first, *others = taught
  pairs = []
  for other in others:
    difference = paired_differences.to_baseline(comparison, other).get(first)
    if difference and not difference.is_decided:
      pairs.append(f'of {first} and {other} is better ({_points(difference)})')
  which = f'which {" or which ".join(pairs)}, nor ' if pairs else ''
  return (
    f'Not shown: {which}what other training images would give, as no interval covers the choice of '
    f'these {comparison.shots}.'
  )


def _points(difference: Difference) -> str:
  text = f'{100 * difference.mean:+.1f} points'
  if difference.interval:
    text += ', 95% interval {:+.1f} to {:+.1f}'.format(*(100 * end for end in difference.interval))
  return text


def _top1(comparison: Comparison, label: str) -> str:
  return f'{np.mean(scatter.top1(comparison.labels[label].values())):.1f}%'


def _size(trial: Trial, alone: Trial) -> str:
  """Return how many parameters a trial deploys, in words relative to the student alone."""
  ratio = trial.value('cost', 'parameters') / alone.value('cost', 'parameters')
  return 'as many parameters' if f'{ratio:.1f}' == '1.0' else f'{ratio:.1f} times the parameters'


def _saw_all(comparison: Comparison, teacher: Trial) -> bool:
  """Return whether the teacher was trained on all training images of the same data."""
  ours, its = comparison.card['dataset'], teacher.value('dataset') or {}
  return (
    its.get('fingerprint') == ours['fingerprint']
    and teacher.value('training') is not None
    and not teacher.value('training', 'shots')
    and not teacher.value('training', 'holdout')
  )
