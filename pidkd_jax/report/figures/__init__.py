"""Figures of a comparison: one file for each figure, which offers `draw`."""

import pathlib
from collections.abc import Callable, Iterable

from matplotlib.figure import Figure

from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import (
  agreement,
  calibration,
  canvas,
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


def save(
  names: Iterable[str], comparison: Comparison, baseline: str | None, folder: pathlib.Path
) -> dict[pathlib.Path, str]:
  """Draw what the runs have the figures for, as PNG files.

  Args:
    names: of figures in `FIGURES`.
    comparison: the runs.
    baseline: a label to draw prominently, or None.
    folder: of the files.

  Returns:
    {path: caption}, in the order of the names.

  Raises:
    UserError: a file that a figure reads is damaged.
  """
  captions = {}
  for name in names:
    if drawn := FIGURES[name](comparison, baseline):
      figure, caption = drawn
      path = folder / f'{name}.png'
      canvas.save(figure, path)
      captions[path] = caption
  return captions
