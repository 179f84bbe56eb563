"""Condense a distilled student: it teaches its own successor with one projector or none.

This is the main job with a bundle as the teacher, whose encoder the students start from.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import local_path, own_code
from pidkd_jax.core.errors import UserError, respelled
from pidkd_jax.experiment import fields, job
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled


def main(config: ConfigDict, folder: str, home: str) -> str:
  """Condense a bundle, or resume.

  Args:
    config: of `config.cohort`, with rows. An empty student or data set is read from the bundle.
    folder: of the bundle.
    home: the run's folder, as in `job.main`.

  Returns:
    The report's summary, as `job.main`'s.

  Raises:
    UserError: as `job.main`, or the bundle has no projectors.
    Stopped: as `job.main`.
  """
  return job.main(_filled(config, folder), home)


def forecast(config: ConfigDict, folder: str, home: str) -> str:
  """Return what it would take (`job.forecast`); arguments and errors as `main`'s."""
  return job.forecast(_filled(config, folder), home)


@respelled(job.OWN)
def _filled(config: ConfigDict, folder: str) -> ConfigDict:
  """Return the configuration with what is read from the bundle."""
  fields.require(config)
  path = local_path.resolve('--bundle', folder)
  loaded = bundle.load(path, models.families(config.student, config.teacher.model))
  if not isinstance(loaded.network.model, Distilled):
    raise UserError(
      f'{folder!r} holds a {type(loaded.network.model).__name__} and no projectors, so there is '
      'nothing to condense; name the bundle of a student that has them'
    )
  config = config.copy_and_resolve_references()
  config.student = config.student or student(loaded)
  config.start = config.teacher.bundle = str(path)
  _fill_data(config.data, loaded.card['dataset'])
  return config


def student(loaded: Bundle) -> str:
  """Return the name of the student in a bundle.

  The name in the card counts only if `models.create` makes the bundle's very student of it. It may
  not name code.

  Raises:
    UserError: neither the card's name nor another one makes that student.
  """
  model = loaded.network.model.student
  for name in (str(loaded.card.get('network')), *models.names()):
    if _makes(name, model):
      return name
  raise UserError(
    f'{str(loaded.folder)!r} does not say what its student, a {type(model).__name__}, is called; '
    'say it with --config.student'
  )


def _makes(name: str, model: Model) -> bool:
  """Return whether a name is that of this very model."""
  if ':' in name:
    return False
  try:
    return models.create(name, num_classes=model.num_classes) == model
  except UserError:
    return False


def _fill_data(config: ConfigDict, entries: Mapping[str, Any]) -> None:
  """Fill the fields on data that the user left empty with a card's entries on its data set."""
  known = entries.get('format') or ''
  if own_code.is_own(known) and config.name != known:
    raise UserError(
      f'the bundle is for the data {known!r}, code that is imported only if you name it yourself, '
      f'by --config.data.name={known}'
    )
  config.name = config.name or known
  if not config.name:
    raise UserError('the bundle does not say which data it is for; say it with --config.data.name')
  if config.name != entries.get('format'):
    return
  if size := entries.get('teacher_size', 0):
    raise UserError(
      f'the student sees {entries["image_size"]} pixels and its teacher saw {size}; a student to'
      ' condense must have seen the images of its teacher: take one that was trained without'
      ' data.teacher_size'
    )
  config.archive = config.archive or entries['archive']
  config.verify = config.verify and entries['name'] == entries['format']
  config.image_size = config.image_size or entries.get('image_size', 0)
  if config.crop_ratio == 1.0:  # The default.
    config.crop_ratio = entries.get('crop_ratio', 1.0)
