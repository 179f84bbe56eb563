"""What became of a bundle's projectors, where students began as the bundle's own."""

from pidkd_jax.report import paired, statistics, tables
from pidkd_jax.report.runs import Comparison
from pidkd_jax.report.sheet import Column


def columns(comparison: Comparison) -> list[Column]:
  """The table against the bundle; [] where the run did not condense one."""
  return tables.condensed(comparison) if comparison.condensed else []


def lines(comparison: Comparison) -> list[str]:
  """What the table says, a sentence a student, and how its differences came about."""
  bundle = comparison.teacher
  found = []
  for label, difference in paired.to_teacher(comparison).items():
    trial = next(iter(comparison.labels[label].values()))
    ours, theirs = (one.value('cost', 'parameters') for one in (trial, bundle))
    text = (
      f"{label} deploys {ours:,} of the bundle's {theirs:,} parameters ({ours / theirs:.1%}); "
      f'its top-1 is {_points(difference.mean)}'
    )
    if difference.low is not None:
      text += f' (95%: {100 * difference.low:+.2f} to {100 * difference.high:+.2f})'
    found.append(f'{text}.')
  text = 'All trials began with the one bundle: how bundles differ is not in these figures.'
  if bundle.outputs and paired.by_image(comparison):
    text = (
      f'Differences to the bundle have 95% intervals from {statistics.RESAMPLES:,} resamples of '
      f'trials and test images. {text}'
    )
  return [*found, text]


def _points(difference: float) -> str:
  way = 'lower' if difference < 0 else 'higher'
  return f'{100 * abs(difference):.2f} points {way}'
