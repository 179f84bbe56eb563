"""Make tables and figures of finished runs.

    pidkd report runs/methods [more runs] --out results --baseline simkd

A folder may be a run's, or one that holds several, such as a study's. Neither
data nor networks are read.
"""

from absl import flags

from pidkd_jax import report
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import workdir

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_string('out', '', 'Folder for report.md, CSV tables and PNG figures.')
  flags.DEFINE_string(
    'baseline', '', 'Label to compare with; by default that of simkd, else of scratch.'
  )
  flags.DEFINE_string(
    'published', '', 'CSV file of published top-1, shown in a column: label,value,source.'
  )


def main(*folders):
  if not folders:
    raise UserError('no run was given; name the folder of a run or of a study')
  out = workdir.local('--out', FLAGS.out)
  report.study(
    [workdir.local('run', folder) for folder in folders],
    out,
    FLAGS.baseline or None,
    workdir.local('--published', FLAGS.published) if FLAGS.published else None,
  )
  print(out / 'report.md')
