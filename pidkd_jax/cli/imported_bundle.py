"""The bundle that an import writes, and what it prints."""

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import LEAST_STD, Normalisation
from pidkd_jax.data import Dataset
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.models.network import Network

FLAGS = flags.FLAGS


def place() -> pathlib.Path:
  """Return the folder of --out, whose parents are made; raise UserError where it is taken."""
  out = local_path.resolve('--out', FLAGS.out)
  if out.exists():
    raise UserError(f'--out {str(out)!r} is there already; give another folder, or remove it')
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(
      f'--out {str(out)!r} cannot be written: {error.strerror}; give another folder'
    ) from error
  return out


def origin(path: pathlib.Path) -> dict[str, str]:
  """Return a card's entry on the file that was imported."""
  with path.open('rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  return {'file': path.name, 'sha256': digest}


def check(network: Network, dataset: Dataset) -> None:
  """Raise UserError where a data set has other classes or channels than a network."""
  spec = dataset.spec
  if (spec.num_classes, spec.image_shape[-1]) != (network.model.num_classes, 3):
    raise UserError(
      f'{FLAGS.checkpoint or FLAGS.model!r} is for colour images of {network.model.num_classes} '
      f'classes, and {spec.name} has {spec.num_classes} classes and {spec.image_shape[-1]} '
      'channels; give the data that it was trained for'
    )


def numbers(flag: str, values: Sequence[str], count: int) -> tuple[float, ...]:
  """Return the values of --mean or --std; raise UserError for what no channel can have."""
  try:
    found = tuple(float(value) for value in values)
  except ValueError:
    found = ()
  if len(found) != count or not all(map(math.isfinite, found)):
    raise UserError(f'{flag}={",".join(values)} is not {count} numbers, e.g. 0.5071,0.4867,0.4408')
  if flag == '--std' and min(found) < LEAST_STD:
    raise UserError(
      f'{flag}={",".join(values)} has a {min(found):g}, which nothing can be divided by'
    )
  if not all(0 <= number <= 1 for number in found):
    raise UserError(f'{flag}={",".join(values)} is of pixels in [0, 1]; divide those of 0 to 255')
  return found


def write(
  out: pathlib.Path,
  network: Network,
  entries: Mapping[str, Any],
  imported: Mapping[str, Any],
  notes: Sequence[str] = (),
  dataset: Dataset | None = None,
  teacher: Bundle | None = None,
) -> None:
  """Write a bundle, evaluated where there is a data set, and print what it is.

  Args:
    out: its folder.
    network: what was imported.
    entries: of its card on the data, with mean and std.
    imported: of its card on the source.
    notes: lines that are printed.
    dataset: to evaluate on.
    teacher: of a student.
  """
  normalisation = Normalisation(tuple(entries['mean']), tuple(entries['std']))
  spent = cost(network, tuple(entries['image_shape']))
  card = {
    'network': FLAGS.model,
    'dataset': dict(entries),
    'imported': dict(imported),
    'cost': dataclasses.asdict(spent),
  }
  if teacher:
    card['training'] = {'teacher': teacher.reference()}
  if dataset:
    [card['results']] = evaluate_metrics(
      {'': network}, dataset.test, normalisation, teacher and teacher.network
    ).values()
  bundle.save(out, network, card)
  print(f'{FLAGS.out}: {FLAGS.model}, {network.model.num_classes} classes, {spent}')
  for note in notes:
    print(f'  {note}')
  print(f'  normalised by mean {normalisation.mean} and std {normalisation.std}')
  if dataset:
    print(f'  on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in card.get('results', {}).items():
    print(f'    {name:<18} {value!r}')
