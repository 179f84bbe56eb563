"""Logarithmic axes with plain numbers."""

import math

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# The multiples of powers of ten that have a number, the densest choice first.
_MULTIPLES = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))


def use_plain_numbers(axis: Axis, most: int = 10) -> None:
  """Label a logarithmic axis, whose data are drawn, with plain numbers instead of powers of ten.

  Args:
    axis: the axis.
    most: numbers that it has room for.
  """
  low, high = axis.get_view_interval()
  decades = math.log10(high / low)
  multiples = next((m for m in _MULTIPLES if decades * len(m) <= most), (1,))
  axis.set_major_locator(LogLocator(subs=multiples, numticks=most))
  axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
  axis.set_minor_formatter(NullFormatter())
