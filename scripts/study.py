"""Runs a study: cohorts of methods, settings or pairs, each at little more than one run's price.

python scripts/study.py --config configs/studies/NAME.py[:TEACHER-STUDENT] --workdir DIR
"""

from pidkd_jax import app  # First: it sets the process up before JAX is imported.

from absl import flags
from ml_collections import config_flags

from pidkd_jax.errors import UserError
from pidkd_jax.training import job

_CONFIG = config_flags.DEFINE_config_file('config', None, 'File; a pair may follow after a colon.')
_WORKDIR = flags.DEFINE_string('workdir', '', 'Folder of the study; the same one goes on with it.')


def main():
  if _CONFIG.value is None:
    raise UserError('no --config was given; e.g. --config configs/studies/methods.py')
  for name, report in job.study(_CONFIG.value, _WORKDIR.value).items():
    print(f'## {name}\n\n{report}')


if __name__ == '__main__':
  app.run(main)
