"""Selection of the labels for a figure with little room."""

from pidkd_jax.report.comparison import Comparison

_PREFERRED = ('pidkd', 'simkd', 'kd', 'kd_1_1', 'scratch', 'kd_01_09')
_MOST = 4


def select_labels(comparison: Comparison, baseline: str | None) -> list[str]:
  """Return at most four labels: PIDKD, the baseline, then common methods, then the first ones."""
  labels = list(comparison.labels)
  preferred = [label for label in (_PREFERRED[0], baseline, *_PREFERRED[1:]) if label in labels]
  return list(dict.fromkeys([*preferred, *labels]))[:_MOST]
