"""What every formulation of a convolution has in common."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import lax

from pidkd_jax.nn.convolution import target

# The layouts of map, kernel and result.
_AXES = ('NHWC', 'HWIO', 'NHWC')


def formulation(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
  """Let a formulation give way to `lax.conv_general_dilated` within `plain` and under dilation.

  The formulation itself sees padding as numbers.
  """

  @functools.wraps(function)
  def convolve(x, kernel, strides, padding, **settings: Any):
    if target.is_converter() or _is_dilated(settings):
      return by_xla(strides, padding, settings)(x, kernel)
    if isinstance(padding, str):
      padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return function(x, kernel, strides, padding, **settings)

  return convolve


def by_xla(strides, padding, settings: Mapping[str, Any]) -> Callable[..., jax.Array]:
  """Return XLA's own convolution, (x, kernel) -> map."""
  named = {'dimension_numbers': _AXES, **settings}
  return functools.partial(
    lax.conv_general_dilated, window_strides=strides, padding=padding, **named
  )


def _is_dilated(settings: Mapping[str, Any]) -> bool:
  dilations = (settings.get(f'{side}_dilation') or () for side in ('lhs', 'rhs'))
  return any(step != 1 for each in dilations for step in each)
