"""How many parameters a projector has, and which one projector is as large as a stack.

Source of the projector: SimKD, arXiv:2203.14001, Sec. 3.2, with its normalisations' scales and
shifts: C_s*m + 2*m for the first 1x1 convolution, 9*m^2 + 2*m for the 3x3, m*C_t + 2*C_t for the
last 1x1. That is 9*m^2 + (C_s + C_t + 4)*m + 2*C_t, which rises with the hidden width m and so
gives m back for a number of parameters.
"""

import math


def parameters(c_s: int, hidden: int, c_t: int) -> int:
  """Of one projector.

  Args:
    c_s: channels of the student's map.
    hidden: m, the projector's own width, C_t // f.
    c_t: channels of the teacher's map.
  """
  return 9 * hidden**2 + (c_s + c_t + 4) * hidden + 2 * c_t


def hidden_of(count: int, c_s: int, c_t: int) -> int:
  """The hidden width, at least 1, at which a projector comes nearest to `count` parameters.

  Of two that are equally near it is the narrower.

  Args:
    count: of a stack, q times `parameters`.
    c_s: channels of the student's map.
    c_t: channels of the teacher's map.
  """
  slope = c_s + c_t + 4
  # Whole numbers throughout: the root, rounded down, of 9*m^2 + slope*m = count - 2*c_t.
  below = (math.isqrt(slope**2 + 36 * max(count - 2 * c_t, 0)) - slope) // 18
  near = (max(below, 1), below + 1)
  return min(near, key=lambda hidden: abs(parameters(c_s, hidden, c_t) - count))
