"""Contrasts: which differences between two labels are asked for, in families."""

from collections.abc import Collection, Iterable, Sequence

from pidkd_jax.core.errors import UserError, unknown_name
from pidkd_jax.report.comparison import Comparison

# (first, second): the question is by how much the first label is ahead of the second.
Contrast = tuple[str, str]
# The contrasts whose p-values are corrected for each other.
Family = tuple[Contrast, ...]


def parse(text: str, known: Collection[str]) -> tuple[Family, ...]:
  """Read families of contrasts.

  Args:
    text: 'A:B,A:C;D:E' asks for A minus B and A minus C in one family, and for D minus E in
      another.
    known: the labels of the runs.

  Raises:
    UserError: a contrast does not have two labels, or a label is unknown.

  Example:
    >>> parse('pidkd:simkd,pidkd:wide', {'pidkd', 'simkd', 'wide'})
    ((('pidkd', 'simkd'), ('pidkd', 'wide')),)
  """
  return tuple(
    tuple(_contrast(part.strip(), known) for part in family.split(','))
    for family in text.split(';')
  )


def to_baseline(comparison: Comparison, baseline: str) -> tuple[Family, ...]:
  """Return one family: every other label against the baseline, the best label first."""
  return (tuple((label, baseline) for label in comparison.ranked if label != baseline),)


def present(families: Iterable[Family], comparison: Comparison) -> tuple[Family, ...]:
  """Return the families with the contrasts that a comparison can show."""
  kept = (
    tuple(contrast for contrast in family if not obstacle(contrast, comparison))
    for family in families
  )
  return tuple(family for family in kept if family)


def obstacle(contrast: Contrast, comparison: Comparison) -> str:
  """Return why a comparison cannot show a contrast; '' where it can."""
  missing = [label for label in contrast if label not in comparison.labels]
  if missing:
    return f'{" and ".join(missing)} not among these runs'
  first, second = (comparison.labels[label].keys() for label in contrast)
  return '' if first & second else 'no trial in common'


def require(families: Sequence[Family], comparisons: Iterable[Comparison]) -> None:
  """Raise UserError if contrasts are asked for and no comparison can show any of them."""
  if families and not any(present(families, comparison) for comparison in comparisons):
    asked = ', '.join(':'.join(contrast) for family in families for contrast in family)
    raise UserError(
      f'--contrasts: no two labels of {asked} share a trial on the same batches under the same '
      'teacher; ask for others, or name the runs that have them'
    )


def _contrast(text: str, known: Collection[str]) -> Contrast:
  labels = [label.strip() for label in text.split(':')]
  if len(labels) != 2 or not all(labels) or labels[0] == labels[1]:
    raise UserError(
      f'--contrasts: {text!r} names no two labels; write pidkd:simkd for pidkd minus simkd'
    )
  for label in labels:
    if label not in known:
      raise unknown_name('label', label, known)
  return labels[0], labels[1]
