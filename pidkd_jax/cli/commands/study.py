"""Train a study's cohorts, and report on them.

    pidkd study --config methods --workdir runs/methods

A cohort costs little more than one run. With --rows only some rows are trained,
each as it would be beside the others. So machines can share a study, a workdir
each, and `pidkd report DIR...` puts it together. --show lists the fields that
`--config.FIELD=VALUE` sets.
"""

from absl import flags

from pidkd_jax.cli import training_flags


def define_flags():
  flags.DEFINE_list('rows', [], 'Labels of the only rows to train, by commas.')
  training_flags.define('Name or file of a study, [:TEACHER-STUDENT].')


def main():
  from pidkd_jax.experiment import study  # With all networks, which --help and --show do not need.

  given = flags.FLAGS
  for name, report in study.main(given.config, given.workdir, given.rows).items():
    if report:
      print(f'## {name}\n\n{report}')
