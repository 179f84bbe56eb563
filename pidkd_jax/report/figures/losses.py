"""Curves of the training losses, a panel for each method."""

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, overlap
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.style import Style

# More names would hide the lines of a panel, so then they stand outside.
MOST_NAMES = 6

# {label: {epoch: one value a trial}}.
_Curves = Mapping[str, Mapping[int, list[float]]]


def by_method(comparison: Comparison, labels: Sequence[str]) -> dict[str, list[str]]:
  """Return {method: its labels}. Losses of one method have the same terms."""
  methods = {}
  for label in labels:
    first = comparison.first(label)
    methods.setdefault(first.settings['method'], []).append(label)
  return methods


def draw(
  axes: Axes, method: str, curves: _Curves, styles: Mapping[str, Style], font_size: float
) -> None:
  """Draw the losses of one method on axes of their own.

  Args:
    axes: small ones.
    method: the panel's title, where it has several labels.
    curves: of the method's labels.
    styles: {label: style}.
    font_size: of all texts.
  """
  means = {
    label: {epoch: statistics.mean(values) for epoch, values in curve.items()}
    for label, curve in curves.items()
  }
  # A loss may be a likelihood, which is not always positive.
  if all(min(values) > 0 for curve in curves.values() for values in curve.values()):
    axes.set_yscale('log')
  hidden = overlap.hidden({label: _heights(axes, mean) for label, mean in means.items()})
  lines = []
  for depth, (label, mean) in enumerate(means.items()):
    style = styles[label]
    [line] = axes.plot(
      list(mean),
      list(mean.values()),
      color=style.colour,
      linestyle=overlap.LINE if label in hidden else style.line,
      linewidth=1.8 if style.prominent else 1.2,
      marker='o' if len(mean) == 1 else None,
      zorder=2 + 0.01 * depth,
    )
    lines.append(line)
    axes.fill_between(
      list(curves[label]),
      [min(values) for values in curves[label].values()],
      [max(values) for values in curves[label].values()],
      color=style.colour,
      linewidth=0,
      alpha=0.16,
    )
  if axes.get_yscale() == 'log':
    use_plain_numbers(axes.yaxis, most=7)
  labels = list(curves)
  if len(labels) == 1:
    style = styles[labels[0]]
    title = axes.set_title(labels[0], fontsize=font_size + 1, pad=3)
    title.set(color=style.colour, fontweight=style.font_weight)
  else:
    axes.set_title(f'{method}: {len(labels)} labels', fontsize=font_size + 1, pad=3)
    if len(labels) <= MOST_NAMES:
      canvas.legend(axes, lines, labels, frameon=False, fontsize=font_size, loc='upper right')
  axes.tick_params(labelsize=font_size)
  axes.margins(x=0.02)
  axes.xaxis.set_major_locator(MaxNLocator('auto', integer=True))
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)


def _heights(axes: Axes, curve: Mapping[int, float]) -> dict[int, float]:
  """Return a curve's heights on the axes, which may be logarithmic."""
  return {x: math.log(y) for x, y in curve.items()} if axes.get_yscale() == 'log' else dict(curve)
