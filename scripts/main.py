"""Distils a student from a teacher: the main job.

python scripts/main.py --config configs/cifar100.py[:TEACHER-STUDENT][:method,...] --workdir DIR
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags
from ml_collections import config_flags

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import job

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'File; a pair and methods may follow after colons.'
)
_WORKDIR = flags.DEFINE_string('workdir', '', 'Folder of the run; the same one goes on with it.')


def main():
  if _CONFIG.value is None:
    raise UserError('no --config was given; e.g. --config configs/digits.py')
  if report := job.main(_CONFIG.value, _WORKDIR.value):
    print(report)


if __name__ == '__main__':
  app.run(main)
