"""Trains, from a bundle with q projectors, a student with one projector and one with none.

    python scripts/condense.py --config configs/condense.py \\
        --bundle runs/cifar100/bundles/pidkd-0 --workdir runs/condensed

Both begin with the bundle's encoder and learn from its integrated features. The one without has a
linear map in their place, which is folded into the classifier: an ordinary network of the student's
own family. The report says what each costs in accuracy and saves in size. `--config.FIELD` sets
whatever the main job has, `--config.rows.one.factor=4` the size of the projector.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags
from ml_collections import config_flags

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import condensing

_CONFIG = config_flags.DEFINE_config_file('config', None, 'File with the recipe and the rows.')
_BUNDLE = flags.DEFINE_string('bundle', '', 'Folder of the bundle that is condensed.')
_WORKDIR = flags.DEFINE_string('workdir', '', 'Folder of the run; the same one goes on with it.')


def main():
  if _CONFIG.value is None:
    raise UserError('no --config was given; e.g. --config configs/condense.py')
  if report := condensing.main(_CONFIG.value, _BUNDLE.value, _WORKDIR.value):
    print(report)


if __name__ == '__main__':
  app.run(main)
