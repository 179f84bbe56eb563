"""Formulations of a convolution that run faster than XLA's own, above all on CPU.

Each takes NHWC maps and HWIO kernels, has the signature that `nn.Conv(conv_general_dilated=...)`
calls, and equals `lax.conv_general_dilated` where it applies. Padding may also be 'SAME' or
'VALID'. A dilated convolution is left to `lax.conv_general_dilated`.

`plain`, `portable` and `separate` are contexts that change how all of them are traced.
"""

from pidkd_jax.nn.convolution.choice import fastest, fastest_depthwise, fastest_stacked
from pidkd_jax.nn.convolution.products import by_dot, grouped_by_dot
from pidkd_jax.nn.convolution.separation import separate
from pidkd_jax.nn.convolution.shifts import depthwise_by_shift, depthwise_of_padded
from pidkd_jax.nn.convolution.target import plain, portable
from pidkd_jax.nn.convolution.tiles import winograd

__all__ = [
  'by_dot',
  'depthwise_by_shift',
  'depthwise_of_padded',
  'fastest',
  'fastest_depthwise',
  'fastest_stacked',
  'grouped_by_dot',
  'plain',
  'portable',
  'separate',
  'winograd',
]
