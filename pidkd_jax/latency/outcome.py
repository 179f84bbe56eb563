"""Measurements as a table and as a figure of accuracy against latency."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pidkd_jax.latency.rounds import Measurement
from pidkd_jax.report import placement, sheet, style
from pidkd_jax.report.figures import points, scale


def columns(measurements: Sequence[Measurement]) -> list[sheet.Column]:
  """A row a measurement."""

  def numbers(heading, values, digits):
    own = [[] if value is None else [value] for value in values]
    return sheet.numbers(heading, own, digits)

  of = [one.subject for one in measurements]
  spreads = [one.spread for one in measurements]
  return [
    sheet.words('network', [subject.name for subject in of]),
    sheet.words('on', [one.platform for one in measurements]),
    numbers('top-1 (%)', [s.top1 and 100 * s.top1 for s in of], 2),
    numbers('size (MB)', [1e-6 * subject.size for subject in of], 3),
    numbers('images', [one.batch for one in measurements], 0),
    numbers('median (ms)', [1e3 * one.median for one in measurements], 3),
    numbers('95% within (ms)', [1e3 * one.p95 for one in measurements], 3),
    sheet.Column(
      'rounds (ms)',
      [f'{1e3 * low:.3f} - {1e3 * high:.3f}' for low, high in spreads],
      {
        'fastest round (ms)': [1e3 * low for low, _ in spreads],
        'slowest round (ms)': [1e3 * high for _, high in spreads],
      },
    ),
    numbers('images/s', [one.batch / one.median for one in measurements], 0),
    numbers('peak memory (MiB)', [2**-20 * one.peak_bytes for one in measurements], 0),
  ]


def figure(measurements: Sequence[Measurement], base: str | None) -> Figure | None:
  """Top-1 against the median latency, a panel for each platform and batch size.

  Args:
    measurements: of which those without an accuracy are left out.
    base: a subject's name to be drawn prominently, or None.

  Returns:
    None if nobody measured an accuracy.
  """
  panels = {}
  for one in measurements:
    if one.subject.top1 is not None:
      panels.setdefault((one.platform, one.batch), []).append(one)
  if not panels:
    return None
  looks = style.styles(
    dict.fromkeys(one.subject.name for own in panels.values() for one in own), base
  )
  width = 6 * len(panels)
  drawn = Figure(figsize=(width, 5.2), dpi=100)
  grid = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
  drawn.subplots_adjust(left=0.7 / width, right=0.985, top=0.93, bottom=0.12, wspace=0.06)
  means = []
  for axes, ((platform, batch), own) in zip(grid, panels.items(), strict=True):
    values = {one.subject.name: ([1e3 * one.median], [100 * one.subject.top1]) for one in own}
    means.append(points.draw(axes, values, looks))
    axes.set_xscale('log')
    scale.plain(axes.xaxis)
    axes.set_title(f'{batch} image{"s" if batch > 1 else ""} in a call, {platform}', fontsize=11)
    axes.set_xlabel('median latency of a call (ms)')
  grid[0].set_ylabel('top-1 (%)')
  # Only now are the limits final that the panels share.
  for axes, own in zip(grid, means, strict=True):
    placement.beside_points(axes, own, looks)
  return drawn
