"""The table of contrasts: paired differences in top-1, three intervals, corrected p-values."""

import json
from collections.abc import Iterable, Sequence

import numpy as np

from pidkd_jax.report import contrasts, paired_differences, statistics, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.contrasts import Contrast, Family
from pidkd_jax.report.paired_differences import Difference
from pidkd_jax.report.table import Column

NOTE = (
  'A contrast is the mean of the differences by trial, ± their standard deviation. The interval by '
  "t is Student's, over trials on these test images. The one over trials and images takes both as "
  'drawn from more (analysis of variance). The one by resamples of both is rougher: too wide where '
  'noise differs by trial and image at once, too narrow where few trials differ as a whole. p is '
  'that of the t-test against no difference, and p (Holm) is corrected for the number of tests in '
  'a family. Fewer than two trials, or equal differences, allow no test.'
)
_POOLED = (
  'Here each comparison counts once. Of those with the same batches, teacher and student, the one '
  "with most common trials counts. One interval is Student's t over comparisons, which takes their "
  'differences as normally distributed. The other is by the spread of the trials within each '
  "comparison, with Satterthwaite's degrees of freedom. With few comparisons the first may be the "
  'narrower one by chance.'
)

_Interval = tuple[float, float]


def columns(comparison: Comparison, families: Sequence[Family]) -> list[Column]:
  """Return the table; [] without a pair of labels that share a trial.

  Args:
    comparison: the runs, which have all labels of the families.
    families: the contrasts; p-values are corrected within each family.
  """
  names, numbers, found, tests, corrected, resampled = [], [], [], [], [], []
  for number, family in enumerate(families, start=1):
    differences = {c: paired_differences.between(comparison, *c) for c in family}
    shared = {c: difference for c, difference in differences.items() if difference}
    own = [statistics.t_test(difference.gains) for difference in shared.values()]
    holm = iter(statistics.holm([test[2] for test in own if test]))
    names += [_name(contrast) for contrast in shared]
    resampled += paired_differences.resampled(comparison, shared)
    numbers += [str(number)] * len(shared)
    found += shared.values()
    tests += own
    corrected += [next(holm) if test else None for test in own]
  if not found:
    return []
  gains = [[100 * gain for gain in difference.gains] for difference in found]
  return [
    table.text_column('contrast', names),
    *([table.text_column('family', numbers)] if len(families) > 1 else []),
    Column('n', [str(len(row)) for row in gains], {'trials': [len(row) for row in gains]}),
    table.mean_column('top-1 (points)', gains, 2, '+'),
    _intervals('95% by t', [test and test[:2] for test in tests]),
    _intervals('95% over trials and images', [d.interval if d.by_image else None for d in found]),
    _intervals('95% by resamples', resampled),
    _p_values('p', [test and test[2] for test in tests]),
    _p_values('p (Holm)', corrected),
  ]


def left_out(comparison: Comparison, families: Sequence[Family]) -> str:
  """Return a sentence that names the contrasts that a comparison cannot show; '' without any."""
  reasons = {
    contrast: contrasts.obstacle(contrast, comparison) for family in families for contrast in family
  }
  named = [f'{_name(contrast)} ({reason})' for contrast, reason in reasons.items() if reason]
  if not named:
    return ''
  return f'Not shown here: {"; ".join(named)}. p (Holm) does not count them.'


def pooled(
  comparisons: Sequence[Comparison], families: Sequence[Family]
) -> tuple[list[Column], str]:
  """Return the mean of each contrast over comparisons, and how to read it.

  Each comparison counts once. Of those with the same batches, teacher and students, the one with
  most common trials counts, as the others repeat trials, or are a choice of settings.

  Returns:
    (columns, note); ([], '') where no two comparisons have a contrast.
  """
  found = {
    contrast: differences
    for contrast in dict.fromkeys(contrast for family in families for contrast in family)
    if len(differences := _independent(comparisons, contrast)) > 1
  }
  if not found:
    return [], ''
  gains = [[difference.gains for _, difference in own] for own in found.values()]
  means = [[difference.mean for _, difference in own] for own in found.values()]
  counts = list(map(len, means))
  over_comparisons = [statistics.t_test(own) for own in means]
  changed = dict.fromkeys(
    label
    for contrast, own in found.items()
    for label in contrast
    if len({_choices(comparison, label) for comparison, _ in own}) > 1
  )
  columns = [
    table.text_column('contrast', [_name(contrast) for contrast in found]),
    Column('comparisons', list(map(str, counts)), {'comparisons': counts}),
    table.mean_column('mean top-1 (points)', [[100 * one for one in own] for own in means], 2, '+'),
    _intervals('95% by t over comparisons', [test and test[:2] for test in over_comparisons]),
    _intervals('95% by t over trials', list(map(statistics.t_interval_of_means, gains))),
  ]
  note = _POOLED
  if any(_share_images(comparison for comparison, _ in own) for own in found.values()):
    note += ' Some of them share test images and teacher, so they are not independent.'
  if changed:
    note += f' Settings differ between comparisons: those of {", ".join(changed)}.'
  return columns, note


def _independent(
  comparisons: Sequence[Comparison], contrast: Contrast
) -> list[tuple[Comparison, Difference]]:
  """Return the contrast's differences, one for each choice of batches, teacher and students."""
  found: dict[str, tuple[Comparison, Difference]] = {}
  for comparison in comparisons:
    if contrasts.obstacle(contrast, comparison):
      continue
    difference = paired_differences.between(comparison, *contrast)
    students = [comparison.first(label).network for label in contrast]
    key = json.dumps([comparison.runs[0].pairing_key, students])
    if difference and (key not in found or len(difference.gains) > len(found[key][1].gains)):
      found[key] = comparison, difference
  return list(found.values())


def _share_images(comparisons: Iterable[Comparison]) -> bool:
  keys = [comparison.runs[0].data_and_teacher for comparison in comparisons]
  return len(set(keys)) < len(keys)


def _choices(comparison: Comparison, label: str) -> str:
  """Return, for comparison, what was chosen for a label: its method, numbers and optimizer."""
  settings = comparison.first(label).settings
  chosen = {name: settings[name] for name in ('method', 'hyperparameters', 'optimizer')}
  return json.dumps(chosen, sort_keys=True)


def _name(contrast: Contrast) -> str:
  return ' minus '.join(contrast)


def _intervals(heading: str, shares: Sequence[_Interval | None]) -> Column:
  """Return a column of intervals in points."""
  points = [None if one is None else (100 * one[0], 100 * one[1]) for one in shares]
  return Column(
    heading,
    ['' if one is None else f'[{one[0]:+.2f}, {one[1]:+.2f}]' for one in points],
    {
      f'{heading}, from': [one and one[0] for one in points],
      f'{heading}, to': [one and one[1] for one in points],
    },
  )


def _p_values(heading: str, values: Sequence[float | None]) -> Column:
  return Column(
    heading,
    [
      ''
      if p is None
      else np.format_float_positional(p, 2, fractional=False, trim='0')
      if p >= 1e-4
      else '<0.0001'
      for p in values
    ],
    {heading: values},
  )
