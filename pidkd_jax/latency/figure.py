"""The figure of accuracy against latency."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pidkd_jax.latency.measurement import Measurement
from pidkd_jax.report.figures import scatter
from pidkd_jax.report.figures.log_axis import use_plain_numbers
from pidkd_jax.report.label_placement import label_points
from pidkd_jax.report.style import label_styles


def draw(measurements: Sequence[Measurement], baseline: str | None) -> Figure | None:
  """Draw top-1 against the median latency, a panel for each platform and batch size.

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
      panel[measurement.candidate.name] = (
        [1e3 * measurement.median],
        [100 * measurement.candidate.top1],
      )
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
    points.append(scatter.draw(axes, values, styles))
    axes.set_xscale('log')
    use_plain_numbers(axes.xaxis)
    images = f'{batch_size} image{"s" if batch_size > 1 else ""}'
    axes.set_title(f'{images} in a call, {platform}', fontsize=11)
    axes.set_xlabel('median latency of a call (ms)')
  all_axes[0].set_ylabel('top-1 (%)')
  # The panels share their limits, which are final only now.
  for axes, panel_points in zip(all_axes, points, strict=True):
    label_points(axes, panel_points, styles)
  return figure
