"""Tables and figures of finished runs, read from their folders alone.

Neither data nor networks are needed: a run folder has cards, metrics and outputs.

Example:
  >>> from pidkd_jax import report
  >>> text = report.study([pathlib.Path('runs/methods')], pathlib.Path('results'))  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from pidkd_jax.core import lazy

if TYPE_CHECKING:
  from pidkd_jax.report.run_report import run
  from pidkd_jax.report.study_report import study

__all__ = ('run', 'study')

# matplotlib is imported when they are used.
__getattr__, __dir__ = lazy.attach(
  __name__,
  {'run': 'pidkd_jax.report.run_report:run', 'study': 'pidkd_jax.report.study_report:study'},
)
