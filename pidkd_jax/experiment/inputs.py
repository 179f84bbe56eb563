"""What a run was trained on: data, teacher and start, by their digests (inputs.json)."""

import hashlib
import pathlib
from collections.abc import Collection
from typing import Any

from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.experiment import workdir

_FILE = 'inputs.json'
_OF_DATA = ('dataset', 'fingerprint', 'class_names', 'normalisation', 'unlabelled')
# Runs of older versions lack these.
_NEWER = ('class_names', 'normalisation')
_LONGEST_NAMES = 160


def claim(
  folder: pathlib.Path, dataset: Dataset, teacher: Bundle | None, start: Bundle | None
) -> None:
  """Write down the inputs of a part, or check that it began on the same ones.

  Raises:
    UserError: it began on others.
  """
  workdir.claim(folder, _FILE, _inputs(dataset, teacher, start), check_part=_same_data)


def check_data(folder: pathlib.Path, dataset: Dataset) -> None:
  """Raise UserError where a folder holds a run that began on other data."""
  for part in begun(folder):
    content = _inputs(dataset, None, None)
    workdir.check(part, _FILE, content, ('teacher', 'start'), check_part=_same_data)


def check_sources(
  folder: pathlib.Path, teacher: Bundle | pathlib.Path | None, start: Bundle | None
) -> None:
  """Check the inputs of a run that has begun.

  Args:
    folder: of the run.
    teacher: the bundle, or where it will be kept when it is trained; None where no member needs
      one.
    start: with whose variables the students begin, or None.

  Raises:
    UserError: the run began with another teacher or start; or with a teacher that is not where it
      was kept. Another training need not give the same bits.
  """
  for part in begun(folder):
    if isinstance(teacher, pathlib.Path):
      raise UserError(
        f'the run in {str(folder)!r} began with a teacher that is not in {str(teacher)!r} any '
        'more; move it back, say with --config.teacher.dir which folder holds it, or give another '
        'workdir'
      )
    content = {'teacher': teacher and teacher.digest, 'start': start and start.digest}
    workdir.check(part, _FILE, content, _OF_DATA)


def begun(folder: pathlib.Path) -> list[pathlib.Path]:
  """Return the folders of a run's parts, or of the whole run, in which training has begun."""
  return [
    path.parent
    for path in (folder / _FILE, *sorted(folder.glob(f'part-*/{_FILE}')))
    if path.exists()
  ]


def _inputs(dataset: Dataset, teacher: Bundle | None, start: Bundle | None) -> dict[str, Any]:
  # A run of an older version has no such entry.
  added = {'unlabelled': dataset.unlabelled.fingerprint} if dataset.unlabelled else {}
  if teacher is None and start is None:  # Else theirs is taken.
    added['normalisation'] = _numbers(dataset.spec.normalisation)
  return {
    'dataset': dataset.spec.name,
    'fingerprint': dataset.spec.fingerprint,
    'class_names': _few(dataset.spec.class_names),
    **added,
    'teacher': teacher and teacher.digest,
    'start': start and start.digest,
  }


def _same_data(
  folder: pathlib.Path, before: dict[str, Any], now: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Return the inputs of a run before and now, without what the fingerprint makes needless.

  Equal images may have another name, as that of a folder is part of it. Runs of older versions
  lack newer entries.
  """
  del folder
  passed_over = {name for name in _NEWER if name not in before}
  if 'fingerprint' in now:
    same = before.get('fingerprint') == now['fingerprint']
    passed_over |= {'dataset'} if same else {'class_names', 'normalisation'}
  before, now = (
    {name: value for name, value in one.items() if name not in passed_over} for one in (before, now)
  )
  return before, now


def _numbers(normalisation: Normalisation) -> str:
  """Return mean and deviation to the digits that every machine computes alike."""
  numbers = normalisation.numbers()
  return ', '.join(f'{value:.4g}' for value in (*numbers.mean, *numbers.std))


def _few(names: Collection[str]) -> str:
  """Return names as a line that is not too long, and differs where they differ."""
  text = ', '.join(names)
  if len(text) <= _LONGEST_NAMES:
    return text
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  return f'{text[:_LONGEST_NAMES]}... ({len(names)} names, digest {digest})'
