"""Predictions on some test images: the likeliest classes of teacher and student, as bars."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pidkd_jax.report.examples import Examples
from pidkd_jax.report.figures import canvas
from pidkd_jax.report.figures.canvas import Box
from pidkd_jax.report.figures.diagram import show_image

_BARS = 3
# The width of the percentages in inches.
_PERCENT = 0.42


def draw(
  figure: Figure,
  box: Box,
  examples: Examples,
  probabilities: Mapping[str, np.ndarray],
  colours: Mapping[str, str],
  names: Sequence[str],
) -> None:
  """Draw each image, and below it the likeliest classes of each network.

  Args:
    figure: to draw in.
    box: the place in the figure.
    examples: the images.
    probabilities: {network: float [E, K]}.
    colours: {network: colour}.
    names: of the classes; a class without one shows its number.
  """
  count = len(examples.image)
  gap, image = 0.12, 0.42 * box.height
  across = (box.width - (count - 1) * gap) / count
  down = (box.height - image) / len(probabilities)
  for column in range(count):
    left, top = box.left + column * (across + gap), box.bottom + box.height
    axes = figure.add_axes(Box(left, top - image + 0.1, across, image - 0.35).of(figure))
    label = int(examples.label[column])
    show_image(axes, examples.image[column])
    title = axes.set_title(_name(names, label), fontsize=10, fontweight='bold', pad=4)
    canvas.shorten(title, across)
    for number, (network, values) in enumerate(probabilities.items(), start=1):
      place = Box(left, top - image - number * down, across, down - 0.08)
      axes = figure.add_axes(place.of(figure))
      _draw_bars(axes, across, values[column], label, colours[network], names)
      if column == 0:
        axes.text(
          -0.05,
          0.5,
          network,
          transform=axes.transAxes,
          rotation=90,
          ha='right',
          va='center',
          fontsize=10,
          fontweight='bold',
          color=colours[network],
        )


def _draw_bars(
  axes: Axes,
  width: float,
  probabilities: np.ndarray,
  label: int,
  colour: str,
  names: Sequence[str],
) -> None:
  """Draw the likeliest classes as bars with their names; the true class stands out.

  Args:
    axes: to draw in.
    width: of the axes in inches.
    probabilities: float [K].
    label: the true class.
    colour: of the bars.
    names: of the classes.
  """
  for place, kind in enumerate(np.argsort(-probabilities, kind='stable')[:_BARS]):
    share, right = float(probabilities[kind]), kind == label
    axes.barh(place, 1, height=0.84, color='#f1f1f1')
    axes.barh(place, share, height=0.84, color=colour, alpha=0.5 if right else 0.22)
    look = {
      'va': 'center',
      'fontsize': 8.5,
      'fontweight': 'bold' if right else 'normal',
      'color': '#222222',
    }
    canvas.shorten(
      axes.text(0.03, place, _name(names, int(kind)), ha='left', **look), width - _PERCENT
    )
    axes.text(0.97, place, f'{100 * share:.0f}%', ha='right', **look)
  axes.set(xlim=(0, 1), ylim=(_BARS - 0.5, -0.5))
  axes.axis('off')


def _name(names: Sequence[str], kind: int) -> str:
  return names[kind] if kind < len(names) else f'class {kind}'
