"""Train a study's cohorts, and report on them.

    pidkd study --config methods --workdir runs/methods

A cohort costs little more than one run. With --rows only some rows are trained,
each as it would be beside the others. So machines can share a study, a workdir
each, and `pidkd report DIR...` puts it together. --help with a config lists
the fields that `--config.FIELD=VALUE` sets.
"""

import os
import shlex

from absl import flags

from pidkd_jax.cli import training_flags
from pidkd_jax.core import screen


def define_flags():
  flags.DEFINE_list('rows', [], 'Labels of the only rows to train, by commas.')
  training_flags.define('Name or file of a study, [:TEACHER-STUDENT].')


def main():
  from pidkd_jax.experiment import study  # With all networks, which --help and --show do not need.

  given = flags.FLAGS
  run = study.forecast if given.dry_run else study.main
  reports = run(given.config, given.workdir, given.rows)
  shown = {name: report for name, report in reports.items() if report}
  for name, report in shown.items():
    print(f'Cohort {name}\n\n{report}\n')
  if len(shown) > 1 and not given.dry_run:
    out = os.path.join(given.workdir, 'report')
    command = shlex.join(['pidkd', 'report', given.workdir, '--out', out])
    print(screen.places({'all cohorts in one report': [command]}))
