"""The table of training cost: seconds and memory of each label."""

from pidkd_jax.report import table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables import rows

_MEMORY = rows.Measure('training memory (MiB)', ('cost', 'training_bytes'), 2**-20, 1)


def columns(comparison: Comparison) -> list[Column]:
  """Return the table, a row for each label."""
  table_rows = rows.student_rows(comparison)
  shares = [
    [
      trial.value('training', 'teacher_seconds') / trial.value('training', 'members')
      for trial in trials
      if trial.value('training', 'teacher_seconds') is not None
    ]
    for trials in table_rows.values()
  ]
  share = [table.mean_column("share of the teacher's passes (s)", shares, 0)] if any(shares) else []
  return [
    *rows.name_columns(table_rows),
    *rows.measure_columns(table_rows, rows.UPDATE_SECONDS),
    *share,
    *rows.measure_columns(table_rows, _MEMORY),
  ]
