"""Logarithmic axes with plain numbers."""

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter


def use_plain_numbers(axis: Axis) -> None:
  """Label a logarithmic axis with plain numbers instead of powers of ten."""
  axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
  axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
  axis.set_minor_formatter(NullFormatter())
