"""Train, from a bundle, students with one projector and with none.

    pidkd condense --config condense --bundle runs/cifar100/bundles/pidkd-0 \\
        --workdir runs/condensed

Both begin with the bundle's encoder and learn from its integrated features. The
one without projectors has a linear map, which is fused into the classifier: an
ordinary network of the student's own family. The report says what each costs in
accuracy and saves in size. `--config.rows.one.factor=4` sets the projector's
size, `--config.FIELD=VALUE` any field.
"""

from absl import flags

from pidkd_jax.cli import training_flags


def define_flags():
  flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
  training_flags.define('Name or file of a config with rows.')


def main():
  from pidkd_jax.experiment import condensing  # With all networks, which --show does not need.

  given = flags.FLAGS
  run = condensing.forecast if given.dry_run else condensing.main
  if report := run(given.config, given.bundle, given.workdir):
    print(report)
