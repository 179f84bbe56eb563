"""Train a teacher and distil students from it.

    pidkd train --config cifar100 --workdir runs/cifar100

`--config cifar100:vgg13-vgg8:pidkd,kd_1_1` takes another pair, and two methods
in one cohort. `--config.FIELD=VALUE` sets a field; --help with a config lists
them. A teacher that was trained before is used again.
"""

from absl import flags

from pidkd_jax.cli import training_flags
from pidkd_jax.training import progress


def define_flags():
  training_flags.define('Name or file of a config, [:TEACHER-STUDENT][:METHOD,...].')


def main():
  from pidkd_jax.experiment import finished

  given = flags.FLAGS
  report = None if given.dry_run else finished.summary(given.config, given.workdir)
  if report is None:
    with progress.working('importing JAX and TensorFlow Datasets'):
      from pidkd_jax.experiment import job  # With all networks, which --show does not need.

    report = (job.forecast if given.dry_run else job.main)(given.config, given.workdir)
  if report:
    print(report)
