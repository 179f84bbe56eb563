"""One projector and the teacher's classifier: PIDKD at q = 1.

Source: SimKD, Chen et al. 2022, arXiv:2203.14001, whose loss has no other term.
"""

import functools

from pidkd_jax.methods.pidkd import PIDKD, PUBLISHED

_SIMKD = functools.partial(PIDKD, num_projectors=1, integration='mean', separate=False)

# With PIDKD's scale of the loss, so that the two differ in the projectors alone, and as published.
METHODS = {'simkd': _SIMKD, 'simkd_published': functools.partial(_SIMKD, **PUBLISHED)}
