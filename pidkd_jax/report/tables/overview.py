"""The table over several comparisons: a row for each label, a column for each comparison."""

import dataclasses
from collections.abc import Mapping

from pidkd_jax.report import paired_differences, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables.rows import TOP1


def columns(comparisons: Mapping[str, Comparison]) -> list[Column]:
  """Return the table of top-1. The entries of one column share their batches.

  Args:
    comparisons: {heading of the column: comparison}.
  """
  labels = list(dict.fromkeys(label for c in comparisons.values() for label in c.labels))
  taught = any(c.teacher for c in comparisons.values())
  result = [table.text_column('top-1 (%)', ['teacher', *labels] if taught else labels)]
  for heading, comparison in comparisons.items():
    teacher = [TOP1.values([comparison.teacher] if comparison.teacher else [])] if taught else []
    students = [TOP1.values(comparison.labels.get(label, {}).values()) for label in labels]
    column = table.mean_column(heading, teacher + students, TOP1.digits)
    best = paired_differences.best(comparison)
    bold = {len(teacher) + row for row, label in enumerate(labels) if label in best}
    result.append(dataclasses.replace(column, bold=bold))
  return result
