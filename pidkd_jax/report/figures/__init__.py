"""Figures of a comparison: one file for each figure, which offers `draw`."""

from collections.abc import Callable

from matplotlib.figure import Figure

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import (
  agreement,
  calibration,
  curves,
  features,
  heatmap,
  overview,
  size,
  summary,
)

# {name of the PNG file: draw(comparison, baseline)}, in the order of the report. It returns the
# figure with its caption, or None if the runs lack what it shows.
FIGURES: dict[str, Callable[[Comparison, str | None], tuple[Figure, str] | None]] = {
  'overview': overview.draw,
  'summary': summary.draw,
  'curves': curves.draw,
  'size': size.draw,
  'grid': heatmap.draw,
  'agreement': agreement.draw,
  'calibration': calibration.draw,
  'features': features.draw,
}
