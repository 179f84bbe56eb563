"""How a label looks in every figure of a report."""

import dataclasses
from collections.abc import Iterable

_OURS = 'pidkd'
# Red is for our method and black for the baseline.
_COLOURS = (
  '#1f77b4',
  '#2ca02c',
  '#ff7f0e',
  '#9467bd',
  '#17a2b8',
  '#8c564b',
  '#e377c2',
  '#9a9a00',
  '#5b6c7d',
)
_LINES = ('-', (0, (5, 1.5)), (0, (1.2, 1.2)))
_MARKERS = ('o', 's', '^')

TEACHER = '#555555'
TEACHER_LINE = (0, (6, 3))


@dataclasses.dataclass(frozen=True)
class Style:
  """Colour, line and marker of a label; a prominent one is drawn stronger and in front."""

  colour: str
  line: str | tuple
  marker: str
  prominent: bool

  @property
  def width(self) -> float:
    return 2.6 if self.prominent else 1.4

  @property
  def order(self) -> float:
    return 3.0 if self.prominent else 2.0

  @property
  def weight(self) -> str:
    return 'bold' if self.prominent else 'normal'


def styles(labels: Iterable[str], base: str | None) -> dict[str, Style]:
  """{label: its style}; up to 27 beside PIDKD and the baseline are distinct."""
  found = {}
  count = 0
  for label in labels:
    if label == _OURS:
      found[label] = Style('#d62728', '-', 'o', True)
    elif label == base:
      found[label] = Style('#000000', '-', 'D', True)
    else:
      turn, place = divmod(count, len(_COLOURS))
      turn %= len(_LINES)
      found[label] = Style(_COLOURS[place], _LINES[turn], _MARKERS[turn], False)
      count += 1
  return found
