"""Make tables and figures of finished runs.

    pidkd report runs/methods [more runs] --out results --baseline simkd

A folder may be a run's, or one that holds several, such as a study's. Neither
data nor networks are read.
"""

from absl import flags

from pidkd_jax import report
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError

FLAGS = flags.FLAGS


def define_flags():
  flags.DEFINE_string('out', '', 'Folder for report.md, tables (CSV, LaTeX) and PNG figures.')
  flags.DEFINE_string(
    'baseline', '', 'Label to compare with; by default that of simkd, else of scratch.'
  )
  flags.DEFINE_string(
    'contrasts',
    '',
    'Differences to test, in families: A:B,A:C;D:E; by default all against the baseline.',
  )
  flags.DEFINE_string(
    'published', '', 'CSV file of published top-1, shown in a column: label,value,source.'
  )


def main(*folders):
  if not folders:
    raise UserError('no run was given; name the folder of a run or of a study')
  out = local_path.resolve('--out', FLAGS.out)
  report.study(
    [local_path.resolve('run', folder) for folder in folders],
    out,
    FLAGS.baseline or None,
    local_path.resolve('--published', FLAGS.published) if FLAGS.published else None,
    FLAGS.contrasts,
  )
  print(out / 'report.md')
