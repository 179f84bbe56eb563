"""The figure of accuracy against latency."""

import dataclasses
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pidkd_jax.latency.measurement import Measurement
from pidkd_jax.report.figures import canvas, scatter
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.label_placement import Point, label_points
from pidkd_jax.report.style import Style, label_styles


@canvas.literal_text()
def draw(measurements: Sequence[Measurement], baseline: str | None) -> Figure | None:
  """Draw top-1 against the median latency, a panel for each platform and batch size.

  Bars reach from the median of the fastest round to that of the slowest.

  Args:
    measurements: the measurements; candidates without an accuracy are left out.
    baseline: the name of a candidate to draw prominently, or None.

  Returns:
    The figure, or None if no candidate has an accuracy.
  """
  panels = {}
  for measurement in measurements:
    if measurement.candidate.top1 is not None:
      panel = panels.setdefault((measurement.platform, measurement.batch_size), {})
      panel[measurement.candidate.name] = measurement
  if not panels:
    return None
  styles = label_styles(
    dict.fromkeys(name for values in panels.values() for name in values), baseline
  )
  width = 6 * len(panels)
  figure = Figure(figsize=(width, 5.2), dpi=100)
  all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
  figure.subplots_adjust(left=0.7 / width, right=0.985, top=0.93, bottom=0.12, wspace=0.06)
  points = []
  for axes, ((platform, batch_size), values) in zip(all_axes, panels.items(), strict=True):
    points.append(_draw_points(axes, values, styles))
    axes.set_xscale('log')
    use_plain_numbers(axes.xaxis)
    images = f'{batch_size} image{"s" if batch_size > 1 else ""}'
    axes.set_title(f'{images} in a call, {platform}', fontsize=11)
    axes.set_xlabel('median latency of a call (ms); bars: fastest to slowest round')
  all_axes[0].set_ylabel('top-1 (%)')
  # The panels share their limits, which are final only now.
  for axes, panel_points in zip(all_axes, points, strict=True):
    label_points(axes, panel_points, styles)
  return figure


def _draw_points(
  axes: Axes, measurements: Mapping[str, Measurement], styles: Mapping[str, Style]
) -> dict[str, Point]:
  """Draw the medians with the ranges of their rounds, and return {name: point}."""
  points = scatter.draw(
    axes,
    {
      name: ([1e3 * one.median], [100 * (one.candidate.top1 or 0)])
      for name, one in measurements.items()
    },
    styles,
  )
  for name, point in list(points.items()):
    low, high = (1e3 * seconds for seconds in measurements[name].round_range)
    axes.errorbar(
      point.x,
      point.y,
      # The median over all calls may lie outside the rounds' medians by rounding.
      xerr=[[max(point.x - low, 0)], [max(high - point.x, 0)]],
      color=styles[name].colour,
      elinewidth=1.1,
      capsize=2.5,
    )
    # Labels keep clear of the bars. A logarithmic axis has no place at 0.
    reach = min(max(point.x - low, high - point.x, 0), 0.9 * point.x)
    points[name] = dataclasses.replace(point, dx=reach)
  return points
