"""A study: cohorts of rows, one after the other, with one teacher for all that share it."""

import logging
import pathlib
from collections.abc import Sequence

from ml_collections import ConfigDict

from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import job
from pidkd_jax.experiment.check import check
from pidkd_jax.training import log
from pidkd_jax.training.outcome import Diverged

logger = logging.getLogger(__name__)


def main(config: ConfigDict, folder: str, labels: Sequence[str] = ()) -> dict[str, str]:
  """Run a study, or resume it.

  Args:
    config: of `pidkd_jax.experiment.config.study`, with cohorts.
    folder: of the study. Each cohort has a folder of its name in it.
    labels: of the only rows to train; () for all.

  Returns:
    {cohort: its report's summary}.

  Raises:
    UserError, Stopped: as `job.main`. A cohort without a finite member stops no other.
  """
  home = local_path.resolve('workdir', folder)
  cohorts = _cohorts(config, home, labels)
  # Mistakes in later cohorts come out before the first one trains. That has its own dry run.
  for name in list(cohorts)[1:]:
    logger.info('cohort %s is put together, to be trained later', name)
    with log.hushed():  # It is said when the cohort is trained.
      job.dry_run(cohorts[name], str(home / name))
  reports, diverged = {}, []
  for name, cohort in cohorts.items():
    try:
      reports[name] = job.main(cohort, str(home / name))
    except Diverged as error:
      diverged.append(f'cohort {name}: {error}')
      logger.warning('%s; the other cohorts go on', diverged[-1])
  if diverged:
    raise UserError('; '.join(diverged))
  return reports


def forecast(config: ConfigDict, folder: str, labels: Sequence[str] = ()) -> dict[str, str]:
  """Return {cohort: what it would take}; arguments and errors as `main`'s.

  Each cohort counts the teacher's training, which cohorts with the same teacher share.
  """
  home = local_path.resolve('workdir', folder)
  cohorts = _cohorts(config, home, labels)
  return {name: job.forecast(cohort, str(home / name)) for name, cohort in cohorts.items()}


def _cohorts(
  config: ConfigDict, home: pathlib.Path, labels: Sequence[str]
) -> dict[str, ConfigDict]:
  """Return the configurations of a study's cohorts, checked."""
  cohorts = configuration.cohorts(config, labels)
  for cohort in cohorts.values():
    # One folder for all, so that cohorts of one teacher share it.
    cohort.teacher.dir = cohort.teacher.dir or str(home / 'teachers')
    check(cohort)
  return cohorts
