"""Tables and figures of runs, from what lies in their folders alone."""

from pidkd_jax.report.document import study
from pidkd_jax.report.summary import run

__all__ = ('run', 'study')
