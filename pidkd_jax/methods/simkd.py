"""SimKD: one projector and the teacher's classifier, which is PIDKD at q = 1.

Loss: PIDKD's with one projector, and no other term. `simkd` has PIDKD's scale of the loss, so that
the two differ only in the projectors. `simkd_published` is mean (P(F_s) - F_t)^2, as published.

Source: Chen et al. 2022, arXiv:2203.14001.
"""

import functools

from pidkd_jax.methods.pidkd import PIDKD, PUBLISHED

_SIMKD = functools.partial(PIDKD, num_projectors=1, integration='mean', separate=False)

METHODS = {'simkd': _SIMKD, 'simkd_published': functools.partial(_SIMKD, **PUBLISHED)}
