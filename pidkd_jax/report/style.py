"""The look of each label in every figure of a report."""

import dataclasses
from collections.abc import Iterable

_OURS = 'pidkd'
# Our method is red and the baseline is black, so neither colour is here. With them, the first three
# are distinct under each kind of colour blindness.
_COLOURS = (
  '#1f77b4',
  '#e09400',
  '#009e73',
  '#9467bd',
  '#17a2b8',
  '#8c564b',
  '#e377c2',
  '#9a9a00',
  '#5b6c7d',
)
_LINES = ('-', (0, (5, 1.5)), (0, (1.2, 1.2)))
_MARKERS = ('o', 's', '^')

TEACHER_COLOUR = '#555555'
TEACHER_LINE = (0, (6, 3))


@dataclasses.dataclass(frozen=True)
class Style:
  """The look of a label.

  Attributes:
    colour: colour of lines, points and text.
    line: Matplotlib's line style.
    marker: Matplotlib's marker.
    prominent: whether the label is drawn stronger and in front.
  """

  colour: str
  line: str | tuple
  marker: str
  prominent: bool

  @property
  def line_width(self) -> float:
    """Width of lines, in points."""
    return 2.6 if self.prominent else 1.4

  @property
  def zorder(self) -> float:
    """Matplotlib's drawing order; a higher one lies in front."""
    return 3.0 if self.prominent else 2.0

  @property
  def font_weight(self) -> str:
    """Weight of the label's text."""
    return 'bold' if self.prominent else 'normal'


def label_styles(labels: Iterable[str], baseline: str | None) -> dict[str, Style]:
  """Return {label: style}; up to 27 labels beside PIDKD and the baseline look distinct."""
  styles = {}
  count = 0
  for label in labels:
    if label == _OURS:
      styles[label] = Style('#d62728', '-', 'o', True)
    elif label == baseline:
      styles[label] = Style('#000000', '-', 'D', True)
    else:
      repeat, index = divmod(count, len(_COLOURS))
      repeat %= len(_LINES)
      styles[label] = Style(_COLOURS[index], _LINES[repeat], _MARKERS[repeat], False)
      count += 1
  return styles
