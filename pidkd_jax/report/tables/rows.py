"""Rows of the tables, and the columns that several tables share."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from pidkd_jax.report import paired_differences, table
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.paired_differences import Difference
from pidkd_jax.report.table import Column
from pidkd_jax.report.trial import Trial

# {label: its trials}, one entry for each row of a table.
Rows = Mapping[str, Sequence[Trial]]


@dataclasses.dataclass(frozen=True)
class Measure:
  """A number in a card and its format in a table.

  Attributes:
    heading: the column's heading, with the unit.
    path: keys of the number in a card.
    scale: factor from the card's unit to the table's.
    digits: digits after the decimal point.
  """

  heading: str
  path: tuple[str, ...]
  scale: float = 1.0
  digits: int = 2

  def values(self, trials: Iterable[Trial]) -> list[float]:
    """Return the scaled number of each trial whose card has it."""
    numbers = [trial.value(*self.path) for trial in trials]
    return [self.scale * number for number in numbers if number is not None]


PARAMETERS = Measure('parameters (M)', ('cost', 'parameters'), 1e-6, 3)
MULTIPLY_ADDS = Measure('multiply-adds (M)', ('cost', 'multiply_adds'), 1e-6, 1)
TOP1 = Measure('top-1 (%)', ('results', 'top1'), 100)
TOP5 = Measure('top-5 (%)', ('results', 'top5'), 100)
AGREEMENT = Measure('agreement (%)', ('results', 'agreement'), 100)
UPDATE_SECONDS = Measure('own updates (s)', ('training', 'seconds'), 1, 0)


def student_rows(comparison: Comparison) -> dict[str, list[Trial]]:
  """Return a row for each label, by mean top-1, the best first."""
  return {label: list(comparison.labels[label].values()) for label in comparison.ranked}


def name_columns(rows: Rows) -> list[Column]:
  """Return the columns of labels with networks, and of numbers of trials."""
  counts = ['' if trials[0].is_teacher else str(len(trials)) for trials in rows.values()]
  labels, networks = list(rows), [trials[0].network for trials in rows.values()]
  names = [f'{label} {network}' for label, network in zip(labels, networks, strict=True)]
  return [
    Column('', names, {'label': labels, 'network': networks}),
    Column('n', counts, {'trials': [count or None for count in counts]}),
  ]


def top1_column(rows: Rows, comparison: Comparison) -> Column:
  """Return the column of top-1, in bold the best label and all that cannot be told from it."""
  column = table.mean_column(TOP1.heading, [TOP1.values(t) for t in rows.values()], TOP1.digits)
  best = paired_differences.best(comparison)
  bold = {row for row, label in enumerate(rows) if label in best}
  return dataclasses.replace(column, bold=bold)


def measure_columns(rows: Rows, *measures: Measure) -> list[Column]:
  """Return a column for each measure that at least one card has."""
  columns = []
  for measure in measures:
    values = [measure.values(trials) for trials in rows.values()]
    if any(values):
      columns.append(table.mean_column(measure.heading, values, measure.digits))
  return columns


def difference_columns(
  rows: Rows, differences: Mapping[str, Difference], reference: str
) -> list[Column]:
  """Return a column of differences in top-1 with their intervals, or [] without any.

  Args:
    rows: the table's rows.
    differences: {label: difference}; other rows have empty cells.
    reference: the name in the heading of what top-1 is compared with.
  """
  if not differences:
    return []
  cells = [differences.get(label) for label in rows]
  intervals = [difference and difference.interval for difference in cells]
  heading = f'top-1 minus {reference} (points)'
  return [
    Column(
      heading,
      ['' if difference is None else difference.points(2) for difference in cells],
      {
        heading: [difference and 100 * difference.mean for difference in cells],
        '95% from': [interval and 100 * interval[0] for interval in intervals],
        '95% to': [interval and 100 * interval[1] for interval in intervals],
      },
    )
  ]
