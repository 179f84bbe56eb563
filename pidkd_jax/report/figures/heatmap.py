"""Accuracy by number of projectors and size factor."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.size_grid import SizeGrid, find_grids
from pidkd_jax.report.table import format_mean

# For fewer sizes the table is enough.
_LEAST_SIZES = 3


@canvas.literal_text()
def draw(comparison: Comparison, _: str | None) -> tuple[Figure, str] | None:
  """Draw a heat map of each grid, side by side.

  A cell has mean ± standard deviation, and the deployed parameters.

  Args:
    comparison: the runs whose grids are drawn.

  Returns:
    The figure and its caption, or None if no grid has three sizes.
  """
  grids = [grid for grid in find_grids(comparison) if len(grid.results) >= _LEAST_SIZES]
  if not grids:
    return None
  shapes = [_axis_values(grid) for grid in grids]
  width = sum(1.45 * len(fs) + 1.9 for _, fs in shapes)
  height = max(0.85 * len(qs) + 1.9 for qs, _ in shapes)
  figure = Figure(figsize=(max(width, 6.5), height), dpi=100, layout='constrained')
  figure.suptitle(comparison.title)
  panels = figure.subplots(1, len(grids), squeeze=False)[0]
  for axes, grid in zip(panels, grids, strict=True):
    _panel(figure, axes, grid)
  caption = (
    'Top-1 (%) by number of projectors q and size factor f: mean ± standard deviation over '
    'trials, and deployed parameters. Solid frame: the best mean. Dashed frame: the smallest size '
    'within one standard error of it.'
  )
  return figure, caption


def _axis_values(grid: SizeGrid) -> tuple[list[int], list[int]]:
  """Return the sorted values of q and of f."""
  return sorted({q for q, _ in grid.results}), sorted({f for _, f in grid.results})


def _panel(figure: Figure, axes: Axes, grid: SizeGrid) -> None:
  qs, fs = _axis_values(grid)
  means = np.full((len(qs), len(fs)), np.nan)
  for (q, f), result in grid.results.items():
    means[qs.index(q), fs.index(f)] = 100 * result.mean
  image = axes.imshow(means, cmap='YlGnBu', aspect='auto')
  figure.colorbar(image, ax=axes, label='mean top-1 (%)', pad=0.02)
  for (q, f), result in grid.results.items():
    row, column = qs.index(q), fs.index(f)
    red, green, blue, _ = image.to_rgba(means[row, column])
    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
    colour = 'white' if dark else '#222222'
    accuracy = format_mean([100 * value for value in result.top1], 2)
    marked = (q, f) in (grid.best, grid.chosen)
    axes.text(
      column,
      row - 0.13,
      accuracy,
      ha='center',
      va='center',
      color=colour,
      fontsize=10,
      fontweight='bold' if marked else 'normal',
    )
    axes.text(
      column,
      row + 0.2,
      f'{1e-6 * result.parameters:.3f} M',
      ha='center',
      va='center',
      color=colour,
      fontsize=8.5,
    )
  for size, line, inset in ((grid.best, '-', 0.02), (grid.chosen, (0, (3, 2)), 0.08)):
    if size:
      corner = fs.index(size[1]) - 0.5 + inset, qs.index(size[0]) - 0.5 + inset
      axes.add_patch(
        Rectangle(
          corner,
          1 - 2 * inset,
          1 - 2 * inset,
          fill=False,
          edgecolor='#d62728',
          linewidth=2.4,
          linestyle=line,
        )
      )
  axes.set_xticks(range(len(fs)), [f'{f}' for f in fs])
  axes.set_yticks(range(len(qs)), [f'{q}' for q in qs])
  axes.tick_params(length=0)
  axes.spines[:].set_visible(False)
  axes.set(xlabel='size factor f (larger is narrower)', ylabel='projectors q')
  axes.set_title(grid.title, fontsize=10)
