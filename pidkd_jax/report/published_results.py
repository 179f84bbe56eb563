"""Results from the literature, shown beside ours in a column of their own."""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.report.table import Column

_HEADINGS = ('label', 'value', 'source')


@dataclasses.dataclass(frozen=True)
class PublishedResults:
  """Results from elsewhere.

  Attributes:
    top1: {label: (top-1 in percent, number of its source, from 1)}.
    sources: the sources in the order of their numbers.
  """

  top1: Mapping[str, tuple[float, int]]
  sources: Sequence[str]

  def column(self, labels: Sequence[str]) -> Column:
    """Return a column with a cell for each label, empty where nothing was published."""
    heading = 'published elsewhere, not ours: top-1 (%)'
    results = [self.top1.get(label) for label in labels]
    return Column(
      heading,
      [f'{result[0]:.2f} [{result[1]}]' if result else '' for result in results],
      {
        heading: [result and result[0] for result in results],
        'published in': [result and self.sources[result[1] - 1] for result in results],
      },
    )

  @property
  def note(self) -> str:
    """The sources, and a caution, for the reader of the table."""
    sources = '; '.join(f'[{i}] {source}' for i, source in enumerate(self.sources, start=1))
    return (
      f'Published elsewhere: {sources}. Teachers, recipes and choices of epoch differ there, so '
      'these results do not compare with ours to the last digit.'
    )


def read(path: pathlib.Path, labels: Sequence[str]) -> PublishedResults:
  """Read a CSV file with the columns label, value (top-1 in percent) and source.

  Args:
    path: the file.
    labels: the labels of the report; any other label counts as misspelt.

  Raises:
    UserError: The file cannot be read or has other content.
  """
  flag = f'--published {str(path)!r}'
  try:
    with path.open(newline='', encoding='utf-8-sig') as file:
      reader = csv.DictReader(file, strict=True)
      headings, rows = reader.fieldnames or (), list(reader)
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    reason = getattr(error, 'strerror', None) or error
    raise UserError(f'{flag} cannot be read: {reason}; name a CSV file') from error
  missing = [name for name in _HEADINGS if name not in headings]
  if missing:
    raise UserError(
      f'{flag} has no column {", ".join(missing)}; its first line must be {",".join(_HEADINGS)}'
    )
  top1, sources = {}, {}
  for number, row in enumerate(rows, start=2):
    label, value, source = ((row[name] or '').strip() for name in _HEADINGS)
    if label not in labels:
      raise unknown_name(f'label in line {number} of {flag}:', label, labels)
    if label in top1:
      raise UserError(f'{flag} has {label!r} again in line {number}; give one value a label')
    if not source:
      raise UserError(f'{flag} gives no source in line {number}; say where the value is from')
    try:
      percent = float(value)
    except ValueError as error:
      raise UserError(
        f'{flag} has the value {value!r} in line {number}; give top-1 in percent'
      ) from error
    if not 0 <= percent <= 100:
      raise UserError(
        f'{flag} has the value {value!r} in line {number}; top-1 in percent is from 0 to 100'
      )
    top1[label] = percent, sources.setdefault(source, len(sources) + 1)
  return PublishedResults(top1, list(sources))
