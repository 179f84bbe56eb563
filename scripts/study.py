"""Runs a study: cohorts of methods, settings or pairs, each at little more than one run's price.

    python scripts/study.py --config configs/studies/NAME.py[:TEACHER-STUDENT] --workdir DIR

With --rows only some of its rows are trained, each as it would be beside the others: a study can so
be shared out over machines or cores, one workdir each, and `scripts/report.py DIR...` puts it
together again.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

from absl import flags
from ml_collections import config_flags

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import job

_CONFIG = config_flags.DEFINE_config_file('config', None, 'File; a pair may follow after a colon.')
_WORKDIR = flags.DEFINE_string('workdir', '', 'Folder of the study; the same one goes on with it.')
_ROWS = flags.DEFINE_list('rows', [], 'Labels of the only rows to train, by commas; [] for all.')


def main():
  if _CONFIG.value is None:
    raise UserError('no --config was given; e.g. --config configs/studies/methods.py')
  for name, report in job.study(_CONFIG.value, _WORKDIR.value, _ROWS.value).items():
    if report:
      print(f'## {name}\n\n{report}')


if __name__ == '__main__':
  app.run(main)
