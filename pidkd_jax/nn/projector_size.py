"""The number of parameters of a projector, and the width of one as large as a stack.

A projector has 9*m^2 + (C_s + C_t + 4)*m + 2*C_t parameters:

- C_s*m + 2*m in the first 1x1 convolution and its norm's scales and shifts,
- 9*m^2 + 2*m in the 3x3 convolution and its norm,
- m*C_t + 2*C_t in the last 1x1 convolution and its norm.

The number rises with the hidden width m, so it also determines m.

Source: SimKD, Chen et al. 2022, arXiv:2203.14001, Sec. 3.2.
"""

import math


def num_parameters(c_s: int, hidden: int, c_t: int) -> int:
  """Return the number of parameters of one projector.

  Args:
    c_s: channels of the student's map.
    hidden: m, the channels between the projector's convolutions, C_t // f.
    c_t: channels of the teacher's map.

  Example:
    >>> num_parameters(256, 128, 256)
    214016
  """
  return 9 * hidden**2 + (c_s + c_t + 4) * hidden + 2 * c_t


def hidden_width(parameters: int, c_s: int, c_t: int) -> int:
  """Return the hidden width m >= 1 at which a projector comes nearest to `parameters`.

  Where two widths are equally near, the narrower one is returned.

  Args:
    parameters: of a stack, q times `num_parameters`.
    c_s: channels of the student's map.
    c_t: channels of the teacher's map.

  Example:
    >>> hidden_width(3 * num_parameters(256, 128, 256), 256, 256)
    240
  """
  slope = c_s + c_t + 4
  # The root of 9*m^2 + slope*m = parameters - 2*c_t, rounded down, in whole numbers.
  below = (math.isqrt(slope**2 + 36 * max(parameters - 2 * c_t, 0)) - slope) // 18
  candidates = (max(below, 1), below + 1)
  return min(candidates, key=lambda m: abs(num_parameters(c_s, m, c_t) - parameters))
