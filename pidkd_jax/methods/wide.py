"""One projector as large as PIDKD's whole stack, to tell a gain of several from a gain of size.

Loss: PIDKD's with one projector.

Source: this package, for comparison. The projector is SimKD's (arXiv:2203.14001), with the hidden
width at which its parameters come nearest to those of q projectors of factor f.
"""

import functools

from pidkd_jax.methods.pidkd import PIDKD
from pidkd_jax.nn import projector_size


class Wide(PIDKD):
  """PIDKD with one wider projector in place of the stack.

  Attributes:
    num_projectors: q of the stack whose size it has.
    factor: f of that stack.
  """

  def size(self, inputs):
    channels = self.target.target.shape[-1]
    number, hidden = super().size(inputs)
    stack = number * projector_size.num_parameters(inputs, hidden, channels)
    return 1, projector_size.hidden_width(stack, inputs, channels)


METHODS = {'wide': functools.partial(Wide, integration='mean', separate=False)}
