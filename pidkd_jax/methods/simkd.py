"""One projector and the teacher's classifier: PIDKD at q = 1.

Source: SimKD, Chen et al. 2022, arXiv:2203.14001, whose loss has no other term and whose
published weight is 1.
"""

import functools

from pidkd_jax.methods.pidkd import PIDKD

METHODS = {'simkd': functools.partial(PIDKD, num_projectors=1, integration='mean', separate=False)}
