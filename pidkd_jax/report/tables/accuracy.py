"""The table of accuracy and all other measures on the test images."""

from pidkd_jax.report import paired_differences
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.published_results import PublishedResults
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables import rows
from pidkd_jax.report.tables.rows import Measure

_MEASURES = (
  rows.TOP5,
  rows.AGREEMENT,
  Measure('cross-entropy', ('results', 'cross_entropy'), 1, 4),
  Measure('ECE (%)', ('results', 'calibration_error'), 100),
  Measure('alignment error', ('results', 'alignment_error'), 1, 4),
)
_BEST = Measure('best on test (optimistic, %)', ('results', 'best_on_test', 'top1'), 100)


def columns(
  comparison: Comparison, baseline: str | None, published: PublishedResults | None = None
) -> list[Column]:
  """Return the table: the teacher's row, then a row for each label.

  Args:
    comparison: the runs. A column that no card fills is left out.
    baseline: the label that others are compared with, or None.
    published: results from elsewhere, which get a column of their own.
  """
  table_rows = _with_teacher(comparison)
  table = [
    *rows.name_columns(table_rows),
    *rows.measure_columns(table_rows, rows.PARAMETERS, rows.MULTIPLY_ADDS),
    rows.top1_column(table_rows, comparison),
  ]
  if baseline:
    differences = paired_differences.to_baseline(comparison, baseline)
    table += rows.difference_columns(table_rows, differences, baseline)
  table += rows.measure_columns(table_rows, *_MEASURES, *_probes(table_rows), _BEST)
  if published:
    table.append(published.column(list(table_rows)))
  return table


def columns_with_time(comparison: Comparison, baseline: str | None) -> list[Column]:
  """Return the table with the training time of each label, for a run's own report."""
  *table, best = columns(comparison, baseline)
  seconds = []
  if rows.measure_columns(rows.student_rows(comparison), rows.UPDATE_SECONDS):
    seconds = rows.measure_columns(_with_teacher(comparison), rows.UPDATE_SECONDS)
  if best.heading != _BEST.heading:  # A holdout selected the epoch, so there is no such column.
    return [*table, best, *seconds]
  return [*table, *seconds, best]


def _with_teacher(comparison: Comparison) -> rows.Rows:
  teacher = {'teacher': [comparison.teacher]} if comparison.teacher else {}
  return teacher | rows.student_rows(comparison)


def _probes(table_rows: rows.Rows) -> list[Measure]:
  """Return the accuracies of linear probes on other datasets."""
  names = dict.fromkeys(
    name
    for trials in table_rows.values()
    for trial in trials
    for name in trial.value('results', 'probe') or {}
  )
  return [Measure(f'probe on {name} (%)', ('results', 'probe', name), 100) for name in names]
