"""What a screen shows of a comparison: five columns, and how to read them."""

import statistics

from pidkd_jax.core.screen import Summary
from pidkd_jax.report import paired_differences, protocol, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.paired_differences import Difference
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables import rows


def summary(comparison: Comparison) -> Summary:
  """Return title, table and notes."""
  shown = table.to_screen(columns(comparison))
  return Summary(comparison.title, shown, tuple(notes(comparison)))


def columns(comparison: Comparison) -> list[Column]:
  """Return network, parameters, top-1, its difference with the interval, and agreement.

  Condensed students are compared with the bundle from which they started, and not with a baseline.

  Args:
    comparison: the runs. A column that no card fills is left out.
  """
  differences, reference = _differences(comparison)
  teachers = {}
  if comparison.condensed and comparison.origin:
    teachers['first teacher'] = [comparison.origin]
  if comparison.teacher:
    teachers['bundle' if comparison.condensed else 'teacher'] = [comparison.teacher]
  students = rows.student_rows(comparison)
  table_rows = teachers | students
  names, _ = rows.name_columns(table_rows)
  result = [
    Column('network', names.cells, names.values),
    *rows.measure_columns(table_rows, rows.PARAMETERS, rows.TOP1),
    *rows.difference_columns(table_rows, differences, reference),
  ]
  agreements = [
    rows.AGREEMENT.values([] if label in teachers else trials)
    for label, trials in table_rows.items()
  ]
  if any(agreements):
    # Their deviations stand in the report.
    means = [[statistics.mean(values)] if values else [] for values in agreements]
    result.append(table.mean_column(rows.AGREEMENT.heading, means, rows.AGREEMENT.digits))
  return result


def _differences(comparison: Comparison) -> tuple[dict[str, Difference], str]:
  """Return the differences that the table has, and to what."""
  if comparison.condensed:
    return paired_differences.to_teacher(comparison), 'the bundle'
  baseline = paired_differences.choose_baseline(comparison, None)
  if baseline and len(comparison.labels) > 1:
    return paired_differences.to_baseline(comparison, baseline), baseline
  return {}, ''


def notes(comparison: Comparison) -> list[str]:
  """Return sentences on the marks in the table, and on what it leaves out; [] where it has none."""
  counts = sorted({len(trials) for trials in comparison.labels.values()})
  marks = []
  if counts[-1] > 1:
    span = f'{counts[0]} to {counts[-1]}' if len(counts) > 1 else str(counts[0])
    marks.append(f'±: standard deviation over {span} trials')
  differences, _ = _differences(comparison)
  if any(difference.interval for difference in differences.values()):
    marks.append('[ ]: 95% interval')
  sentences = [f'{"; ".join(marks)}.'] if marks else []
  return sentences + protocol.diverged(comparison)
