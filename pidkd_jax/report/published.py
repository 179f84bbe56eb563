"""Figures from the literature, to stand beside ours in a column of their own."""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.report.sheet import Column

_HEADINGS = ('label', 'value', 'source')


@dataclasses.dataclass(frozen=True)
class Published:
  """Figures from elsewhere.

  Attributes:
    figures: {label: (top-1 in percent, number of its source from 1)}.
    sources: in their order.
  """

  figures: Mapping[str, tuple[float, int]]
  sources: Sequence[str]

  def column(self, labels: Sequence[str]) -> Column:
    """A cell for each label, empty where nothing was published."""
    heading = 'published elsewhere, not ours: top-1 (%)'
    found = [self.figures.get(label) for label in labels]
    return Column(
      heading,
      [f'{value[0]:.2f} [{value[1]}]' if value else '' for value in found],
      {
        heading: [value and value[0] for value in found],
        'published in': [value and self.sources[value[1] - 1] for value in found],
      },
    )

  @property
  def note(self) -> str:
    listed = '; '.join(f'[{i}] {source}' for i, source in enumerate(self.sources, start=1))
    return (
      f'Published elsewhere: {listed}. Other teachers, recipes and choices of epoch; not to be '
      'compared with a row of ours to the last digit.'
    )


def read(path: pathlib.Path, labels: Sequence[str]) -> Published:
  """Reads a CSV file with the columns label, value (top-1 in percent) and source.

  Args:
    path: of the file.
    labels: that there are; one that is not among them is taken for a misspelling.

  Raises:
    UserError: the file cannot be read or has other content.
  """
  what = f'--published {str(path)!r}'
  try:
    with path.open(newline='', encoding='utf-8-sig') as file:
      reader = csv.DictReader(file, strict=True)
      headings, rows = reader.fieldnames or (), list(reader)
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    reason = getattr(error, 'strerror', None) or error
    raise UserError(f'{what} cannot be read: {reason}; name a CSV file') from error
  missing = [name for name in _HEADINGS if name not in headings]
  if missing:
    raise UserError(
      f'{what} has no column {", ".join(missing)}; its first line must be {",".join(_HEADINGS)}'
    )
  figures, sources = {}, {}
  for number, row in enumerate(rows, start=2):
    label, value, source = ((row[name] or '').strip() for name in _HEADINGS)
    if label not in labels:
      raise unknown_name(f'label in line {number} of {what}:', label, labels)
    if label in figures:
      raise UserError(f'{what} has {label!r} again in line {number}; give one figure a label')
    if not source:
      raise UserError(f'{what} gives no source in line {number}; say where the figure is from')
    try:
      found = float(value)
    except ValueError as error:
      raise UserError(
        f'{what} has the value {value!r} in line {number}; give top-1 in percent'
      ) from error
    figures[label] = found, sources.setdefault(source, len(sources) + 1)
  return Published(figures, list(sources))
