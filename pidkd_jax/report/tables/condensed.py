"""The table of condensed bundles: students against the bundle from which they started."""

from collections.abc import Sequence

import numpy as np

from pidkd_jax.report import paired_differences, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables import rows
from pidkd_jax.report.trial import Trial


def columns(comparison: Comparison) -> list[Column]:
  """Return the table of size saved and accuracy lost.

  Returns:
    The columns; [] unless every student started from its teacher's bundle.
  """
  bundle, origin = comparison.teacher, comparison.origin
  if bundle is None or not comparison.condensed:
    return []
  teachers = ({'first teacher': [origin]} if origin else {}) | {'bundle': [bundle]}
  table_rows = teachers | rows.student_rows(comparison)
  result = [*rows.name_columns(table_rows)]
  for measure in (rows.PARAMETERS, rows.MULTIPLY_ADDS):
    name = measure.heading.removesuffix(' (M)')
    counts = [trials[0].value(*measure.path) for trials in table_rows.values()]
    saved = [
      [] if label in teachers else [100 * (1 - count / bundle.value(*measure.path))]
      for label, count in zip(table_rows, counts, strict=True)
    ]
    result.append(Column(name, [f'{count:,}' for count in counts], {name: counts}))
    result.append(table.mean_column(f'fewer {name} (%)', saved, 1))
  result += rows.measure_columns(table_rows, rows.TOP1)
  differences = paired_differences.to_teacher(comparison)
  result += rows.difference_columns(table_rows, differences, 'the bundle')
  result += rows.measure_columns(table_rows, rows.TOP5)
  for name, other in {'bundle': bundle, 'first teacher': origin}.items():
    agreements = [_agreement(trials, other) for trials in table_rows.values()]
    if any(agreements):
      result.append(table.mean_column(f'agreement with the {name} (%)', agreements, 2))
  return result


def sentences(comparison: Comparison) -> list[str]:
  """Return the table in words: a sentence for each student, then how differences were computed.

  Returns:
    The sentences; [] where `columns` returns [].
  """
  bundle = comparison.teacher
  if bundle is None or not comparison.condensed:
    return []
  texts = []
  differences = paired_differences.to_teacher(comparison)
  for label, difference in differences.items():
    trial = comparison.first(label)
    student_size, bundle_size = (t.value('cost', 'parameters') for t in (trial, bundle))
    text = (
      f"{label} deploys {student_size:,} of the bundle's {bundle_size:,} parameters "
      f'({student_size / bundle_size:.1%}); its top-1 is {_format_points(difference.mean)}'
    )
    if difference.interval:
      text += ' (95%: {:+.2f} to {:+.2f})'.format(*(100 * end for end in difference.interval))
    texts.append(f'{text}.')
  text = (
    'All trials started from one bundle, so the intervals do not include the variation between '
    'bundles.'
  )
  if all(difference.by_image for difference in differences.values()):
    text = f'Differences to the bundle have 95% intervals over trials and test images. {text}'
  return [*texts, text]


def _agreement(trials: Sequence[Trial], other: Trial | None) -> list[float]:
  """Return, for each trial, the percentage of test images on which it predicts as `other` does."""
  if other is None or other.outputs is None:
    return []
  return [
    100 * float(np.mean(trial.outputs.predicted == other.outputs.predicted))
    for trial in trials
    if trial.outputs is not None
  ]


def _format_points(difference: float) -> str:
  direction = 'lower' if difference < 0 else 'higher'
  return f'{100 * abs(difference):.2f} points {direction}'
