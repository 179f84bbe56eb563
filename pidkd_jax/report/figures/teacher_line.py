"""The line at the teacher's accuracy, alike in every figure."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Annotation

from pidkd_jax.report.style import TEACHER_COLOUR, TEACHER_LINE

LOOK: dict[str, Any] = {
  'color': TEACHER_COLOUR,
  'linestyle': TEACHER_LINE,
  'linewidth': 1.2,
  'zorder': 1,
}


def draw_below_left(axes: Axes, height: float, name: str, font_size: float) -> None:
  """Draw a horizontal line, with a name below its left end."""
  _draw(axes, height, name, 0.01, -3, ha='left', va='top', fontsize=font_size)


def draw_above_right(axes: Axes, height: float, name: str, font_size: float) -> Annotation:
  """Draw a horizontal line, with a name above its right end, and return the name."""
  return _draw(axes, height, name, 0.995, 3, ha='right', va='baseline', fontsize=font_size)


def _draw(
  axes: Axes, height: float, name: str, across: float, points: float, **look: Any
) -> Annotation:
  axes.axhline(height, **LOOK)
  return axes.annotate(
    name,
    (across, height),
    xycoords=('axes fraction', 'data'),
    xytext=(0, points),
    textcoords='offset points',
    color=TEACHER_COLOUR,
    **look,
  )
