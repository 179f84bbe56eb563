"""One projector instead of q, or none: a distilled student teaches its own successor.

The main job, whose teacher is a bundle and whose students begin with that bundle's encoder.
"""

from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import job, workdir
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled


def main(config: ConfigDict, folder: str, home: str) -> str:
  """Condenses a bundle, or goes on with it.

  Args:
    config: of `pidkd_jax.experiment.config.cohort`, with rows; student and data may be empty, as the bundle
      says them.
    folder: of the bundle.
    home: the run's own folder, as `job.main` has it.

  Returns:
    The report, Markdown; '' in all processes but the first.

  Raises:
    UserError: the bundle has no projectors; else as `job.main`.
    Stopped: as `job.main`.
  """
  place = workdir.local('--bundle', folder)
  loaded = bundle.load(place, models.families(config.student, config.teacher.model))
  if not isinstance(loaded.network.model, Distilled):
    raise UserError(
      f'{folder!r} holds a {type(loaded.network.model).__name__} and no projectors, so there is '
      'nothing to condense; name the bundle of a student that has them'
    )
  config = config.copy_and_resolve_references()
  config.student = config.student or student(loaded)
  config.start = config.teacher.bundle = str(place)
  _fill_data(config.data, loaded.card['dataset'])
  return job.main(config, home)


def student(loaded: Bundle) -> str:
  """The name of the student in a bundle.

  The card says one, which only counts if it is of a network known here: it may not name code.

  Raises:
    UserError: nothing says it.
  """
  wanted = loaded.network.model.student
  for name in (str(loaded.card.get('network')), *models.names()):
    if _makes(name, wanted):
      return name
  raise UserError(
    f'{str(loaded.folder)!r} does not say what its student, a {type(wanted).__name__}, is called; '
    'say it with --config.student'
  )


def _makes(name: str, wanted: Model) -> bool:
  """Whether it is the name of this very network."""
  if ':' in name:
    return False
  try:
    return models.create(name, num_classes=wanted.num_classes) == wanted
  except (UserError, OverflowError):
    return False


def _fill_data(config: ConfigDict, known: dict[str, Any]) -> None:
  """Takes from the card what the user does not say of the data."""
  config.name = config.name or known.get('format') or ''
  if not config.name:
    raise UserError('the bundle does not say which data it is for; say it with --config.data.name')
  if config.name != known.get('format'):
    return
  config.archive = config.archive or known['archive']
  config.verify = config.verify and known['name'] == known['format']
  config.image_size = config.image_size or known.get('image_size', 0)
