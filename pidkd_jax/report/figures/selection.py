"""Which labels a figure shows that has room for a few."""

from pidkd_jax.report.runs import Comparison

_WANTED = ('pidkd', 'simkd', 'kd', 'kd_1_1', 'scratch', 'kd_01_09')
_ROOM = 4


def selected(comparison: Comparison, base: str | None) -> list[str]:
  """Four labels at most: the well-known ones and the baseline, else the first ones."""
  labels = list(comparison.labels)
  wanted = [label for label in (_WANTED[0], base, *_WANTED[1:]) if label in labels]
  return list(dict.fromkeys([*wanted, *labels]))[:_ROOM]
