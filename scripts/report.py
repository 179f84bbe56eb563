"""Makes tables and figures of finished runs, from their folders alone.

python scripts/report.py runs/methods [more runs] --out results [--baseline simkd]

A folder may be a run's or one that holds several, such as a study's. Neither data nor networks
are read.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags

from pidkd_jax import report
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import workdir

_OUT = flags.DEFINE_string('out', '', 'Folder for report.md, CSV tables and PNG figures.')
_BASELINE = flags.DEFINE_string(
  'baseline', '', 'Label that others are compared with; by default simkd, else scratch.'
)
_PUBLISHED = flags.DEFINE_string(
  'published', '', 'CSV file of published top-1: label,value,source; they get their own column.'
)


def main(*folders):
  if not folders:
    raise UserError('no run was given; name the folder of a run or of a study')
  out = workdir.local('--out', _OUT.value)
  report.study(
    [workdir.local('run', folder) for folder in folders],
    out,
    _BASELINE.value or None,
    workdir.local('--published', _PUBLISHED.value) if _PUBLISHED.value else None,
  )
  print(out / 'report.md')


if __name__ == '__main__':
  app.run(main, operands=True)
