"""Train a teacher and distil students from it.

    pidkd train --config cifar100 --workdir runs/cifar100

`--config cifar100:vgg13-vgg8:pidkd,kd_1_1` takes another pair, and two methods
in one cohort. `--config.FIELD=VALUE` sets a field; --show lists them. A teacher
that was trained before is used again.
"""

from absl import flags

from pidkd_jax.cli import training_flags


def define_flags():
  training_flags.define('Name or file of a config, [:TEACHER-STUDENT][:METHOD,...].')


def main():
  from pidkd_jax.experiment import job  # With all networks, which --help and --show do not need.

  if report := job.main(flags.FLAGS.config, flags.FLAGS.workdir):
    print(report)
