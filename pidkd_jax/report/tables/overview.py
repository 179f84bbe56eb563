"""The table over several comparisons: top-1 of each label, a row for each comparison."""

from collections.abc import Mapping

from pidkd_jax.report import table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.table import Column
from pidkd_jax.report.tables.rows import TOP1


def columns(comparisons: Mapping[str, Comparison]) -> list[Column]:
  """Return the table. Entries of one row share their batches; entries of two rows do not.

  Args:
    comparisons: {name of the row: comparison}.
  """
  labels = dict.fromkeys(label for c in comparisons.values() for label in c.labels)
  result = [table.text_column('top-1 (%)', list(comparisons))]
  if any(c.teacher for c in comparisons.values()):
    values = [TOP1.values([c.teacher] if c.teacher else []) for c in comparisons.values()]
    result.append(table.mean_column('teacher', values, TOP1.digits))
  for label in labels:
    values = [TOP1.values(c.labels.get(label, {}).values()) for c in comparisons.values()]
    result.append(table.mean_column(label, values, TOP1.digits))
  return result
