"""The bundle that an import writes, and what it prints."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from pidkd_jax.bundles import bundle, timm_config, torch_file
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.preprocessing import Preprocessing
from pidkd_jax.bundles.timm_config import TimmConfig
from pidkd_jax.bundles.torch_file import Checkpoint, StateDict
from pidkd_jax.cli import data_flags
from pidkd_jax.core import local_path, regular_file
from pidkd_jax.core.class_names import class_difference
from pidkd_jax.core.errors import UserError, listed, printable
from pidkd_jax.core.normalisation import LEAST_STD, Normalisation
from pidkd_jax.data import Dataset
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.models import class_order
from pidkd_jax.models.network import Network

FLAGS = flags.FLAGS

# Where timm's file lies, for messages.
BESIDE = f'{timm_config.FILE} beside the file'
# {timm's way of cutting: what it does to an image that is no square}.
_CROPS = {'squash': 'squashed whole images to a square', 'border': 'filled images up to a square'}


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
  return {'file': path.name, 'sha256': regular_file.sha256(path)}


def check(network: Network, dataset: Dataset) -> None:
  """Raise UserError where a data set has other classes or channels than a network."""
  spec = dataset.spec
  if (spec.num_classes, spec.image_shape[-1]) != (network.model.num_classes, 3):
    raise UserError(
      f'{FLAGS.checkpoint or FLAGS.model!r} is for colour images of {network.model.num_classes} '
      f'classes, and {spec.name} has {spec.num_classes} classes and {spec.image_shape[-1]} '
      'channels; give the data that it was trained for'
    )


def check_config(config: TimmConfig | None, network: Network) -> None:
  """Raise UserError where timm's file is of a network with other classes than the checkpoint's."""
  if config and config.num_classes not in (None, network.model.num_classes):
    raise UserError(
      f'{timm_config.FILE} beside {FLAGS.checkpoint!r} is of {config.num_classes} classes, and the '
      f'weights are of {network.model.num_classes}; put the right file there, or remove it and '
      'give --mean, --std and --image_size'
    )


def in_order(
  network: Network, names: Sequence[str] | None, source: str, dataset: Dataset
) -> tuple[Network, tuple[str, ...]]:
  """Return a network with its classes in the order of the data, and notes.

  Args:
    network: as it was imported.
    names: of its classes, in its order; None where nobody says them.
    source: who says them, for messages.
    dataset: on which it is to be evaluated.

  Raises:
    UserError: the data have other classes.
  """
  spec = dataset.spec
  difference = class_difference(names, spec.class_names)
  if not difference:
    return network, ()
  assert names is not None  # As there is a difference.
  if sorted(names) != sorted(spec.class_names):
    raise UserError(
      f'{source} and {spec.name} do not have the same classes: {difference}; give data of these '
      'classes, correct the names, or leave out --data'
    )
  places = {name: place for place, name in enumerate(names)}
  positions = [places[name] for name in spec.class_names]
  note = (
    f'{source} and {spec.name}: {difference}; its classes were put into the order of {spec.name}'
  )
  return class_order.reordered(network, spec.image_shape, positions), (note,)


def fitted(checkpoint: Checkpoint, make: Callable[[StateDict], Any]) -> tuple[Any, tuple[str, ...]]:
  """Return what is made of a checkpoint, and notes.

  Where the whole does not fit, its largest part is tried: Lightning's files hold the loss and the
  metrics beside the network.

  Args:
    checkpoint: as it was read.
    make: a function of a state dict that raises UserError where it does not fit.

  Raises:
    UserError: neither fits; the message is on the whole.
  """
  try:
    return make(checkpoint.model), ()
  except UserError as error:
    part, inner = torch_file.largest_part(checkpoint.model)
    if not part:
      raise
    try:
      made = make(inner)
    except UserError:
      raise error from None
  others = [key for key in checkpoint.model if not key.startswith(part)]
  return made, (f'the network is {part!r}; passed over: {listed(others, 5)}',)


def image_notes(
  entries: Mapping[str, Any],
  source: str,
  evaluated: Preprocessing | None = None,
) -> tuple[str, ...]:
  """Return what images a network sees, who says so, and how they differ from the library's own.

  Args:
    entries: of its card on the data.
    source: who says what the flags do not.
    evaluated: what the network's library did to its images, where it is known.
  """
  size = 'x'.join(map(str, entries['image_shape'][:2]))
  given = data_flags.given_flags('image_size', 'crop_ratio', 'mean', 'std')
  said = f'{given}, else of {source}' if given else source
  notes = [
    f'images of {size}, cut from {entries.get("crop_ratio", 1.0):.3g} of their shorter side',
    f'size, crop, mean and std are those of {said}',
  ]
  if evaluated is None:
    return tuple(notes)
  if evaluated.interpolation != 'bilinear':
    notes.append(
      f'it was evaluated with {printable(evaluated.interpolation[:40])} interpolation, and images '
      'here are scaled bilinearly; accuracies may differ a little'
    )
  if evaluated.crop_mode != 'center':
    how = _CROPS.get(evaluated.crop_mode, f'cut images by {evaluated.crop_mode[:40]!r}')
    notes.append(
      f'WARNING: its evaluation {how}, and here their centre is cut out, so it does not see the '
      'edges; accuracies may differ'
    )
  return tuple(notes)


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
    print(f'  {printable(note)}')
  print(f'  normalised by mean {normalisation.mean} and std {normalisation.std}')
  if dataset:
    print(f'  on the {len(dataset.test)} test images of {dataset.spec.name}')
  for name, value in card.get('results', {}).items():
    print(f'    {name:<18} {value!r}')
