"""The figures of a comparison, a file each."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from pidkd_jax.report.figures import agreement, calibration, curves, features, heatmap, size
from pidkd_jax.report.runs import Comparison

# {file's name: draws it for a comparison and a baseline}: the figure with its caption, or None
# where the runs do not hold what it shows.
FIGURES: dict[str, Callable[[Comparison, str | None], tuple[Figure, str] | None]] = {
  'curves': curves.draw,
  'size': size.draw,
  'grid': heatmap.draw,
  'agreement': agreement.draw,
  'calibration': calibration.draw,
  'features': features.draw,
}

# The same file from the same figures: no date, no version.
SAVING: dict[str, Any] = {'dpi': 130, 'bbox_inches': 'tight', 'metadata': {'Software': None}}
