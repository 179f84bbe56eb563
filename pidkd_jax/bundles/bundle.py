"""A network as one self-contained folder: saved, checked, loaded, reused as a teacher.

    variables.npz    every variable under 'collection/module/.../name'
    card.json        the network's description, dataset, training, cost and results
    encoder.stablehlo    only of an imported PyTorch network: its encoder (`models.exported`)
    manifest.json    SHA-256 of these, written last
    README.md        the model card for people, who may add to it (`model_card`)

Loading checks every byte of all files but the last, which it never reads. It builds networks of
this package, and those classes of the user's that the caller passes.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import model_card
from pidkd_jax.core import atomic_folder, image, normalisation, npz, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.core.value import as_json
from pidkd_jax.models import exported_function
from pidkd_jax.models.base import Model
from pidkd_jax.models.exported import Exported
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices, processes

VARIABLES, CARD, README = 'variables.npz', 'card.json', 'README.md'
ENCODER = 'encoder.stablehlo'

# The entries on the data that every card has; name and class_names may be null.
_DATASET = ('name', 'class_names', 'image_shape', 'mean', 'std')
# The fields of a DatasetSpec that a card keeps.
_TEXTS = ('name', 'format', 'archive', 'source', 'fingerprint')
_SPEC = (*_TEXTS, 'image_size', 'crop_ratio', 'teacher_size', 'bits', 'class_names', 'image_shape')

# An image of 2,300 by 2,300 pixels in colour has as many values.
_LARGEST_IMAGE = 2**24

# A card has some kilobytes.
JSON_LIMIT = 2**24


@dataclasses.dataclass(frozen=True)
class Bundle:
  """A loaded bundle.

  Attributes:
    network: ready to run.
    card: the content of card.json; `card['model']` describes the network.
    digest: SHA-256 (hex) of all that decides the network's function: its variables, description
      and normalisation. The rest of the card does not change it.
    folder: the bundle's folder.
  """

  network: Network
  card: Mapping[str, Any]
  digest: str
  folder: pathlib.Path

  @property
  def file(self) -> pathlib.Path:
    """The file that holds the network's variables."""
    return self.folder / VARIABLES

  @property
  def crop_ratio(self) -> float:
    """The share of an image's shorter side that the network sees."""
    return self.card['dataset'].get('crop_ratio', 1.0)

  @property
  def bits(self) -> int:
    """The bits that the values of 16-bit images need, as those of its data; 0 if they had none."""
    return self.card['dataset'].get('bits', 0)

  @property
  def normalisation(self) -> Normalisation:
    """The normalisation that the network was trained with."""
    entries = self.card['dataset']
    return Normalisation(tuple(entries['mean']), tuple(entries['std']))

  def reference(self) -> dict[str, Any]:
    """Return the entry by which a student's card names this bundle as its teacher's."""
    return {
      'digest': self.digest,
      'model': self.card['model'],
      'folder': str(self.folder.resolve()),
    }


def dataset_card(spec: DatasetSpec, normalisation: Normalisation) -> dict[str, Any]:
  """Return a card's entries on the data and on the network's normalisation."""
  entries = {name: getattr(spec, name) for name in _SPEC}
  numbers = normalisation.numbers()
  return entries | {'mean': numbers.mean, 'std': numbers.std}


def check_data(spec: DatasetSpec) -> None:
  """Check that a bundle can hold a network that was trained on these data.

  Raises:
    UserError: their images are too large, or their statistics are none that images can have.
  """
  entries = as_json(dataset_card(spec, spec.normalisation))
  try:
    _check({'dataset': entries}, spec.num_classes)
  except ValueError as error:
    raise UserError(
      f'no bundle can hold a network for {spec.name}: {error}; give other images'
    ) from error


def check(network: Network) -> None:
  """Check that a bundle can hold a network; shapes and types of its variables are enough.

  Raises:
    UserError: a field of its model is not plain, or a variable is of a type that numpy has not.
  """
  models.describe(cast(Model, network.model))
  variables: dict[str, Any] = traverse_util.flatten_dict(network.variables, sep='/')
  for path, value in variables.items():
    is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    # bfloat16, 8-bit floats and 4-bit integers are foreign to numpy.
    if is_key or np.dtype(value.dtype).isbuiltin != 1:
      raise UserError(
        f'{path} of {type(network.model).__name__} is {value.dtype}, which a bundle cannot hold; '
        f'{"keep jax.random.key_data of it" if is_key else "give its layer param_dtype=float32"}'
      )


def save(folder: pathlib.Path, network: Network, card: Mapping[str, Any]) -> None:
  """Write a bundle, in place of one that is there already.

  A kill leaves either the old bundle or the new one, complete (`atomic_folder.replacing`). Only the
  primary process writes.

  Args:
    folder: of the bundle.
    network: its description joins the card as 'model'.
    card: JSON values. It needs 'dataset' with name, class_names, image_shape, mean and std, as
      `dataset_card` makes it.

  Raises:
    UserError: as `check` says.
  """
  check(network)
  if processes.is_primary():
    _save(folder, network, card)
  processes.barrier(folder.name)


def _save(folder: pathlib.Path, network: Network, card: Mapping[str, Any]) -> None:
  flat = traverse_util.flatten_dict(network.variables, sep='/')
  card = {'model': models.describe(cast(Model, network.model)), **card}
  with atomic_folder.replacing(folder, loose=(README,)) as part:
    arrays: dict[str, Any] = {path: np.asarray(value) for path, value in sorted(flat.items())}
    np.savez(part / VARIABLES, **arrays)
    atomic_folder.write_json(part / CARD, card)
    (part / README).write_text(model_card.text(card), 'utf-8', 'replace')
    if isinstance(network.model, Exported):
      (part / ENCODER).write_bytes(exported_function.find(network.model.function).content)


def load(folder: pathlib.Path, own: models.Own = ()) -> Bundle:
  """Read a bundle and check every byte of it; nothing in it can name code to import.

  Args:
    folder: of the bundle.
    own: a class of networks of your own that the bundle may hold, its 'module:Class', or several of
      these.

  Raises:
    UserError: the folder is missing, incomplete or altered, or its network is of an unknown class;
      or `own` is no class of networks.
  """
  families = models.own_families(own)
  manifest_path = folder / atomic_folder.MANIFEST
  if not manifest_path.is_file():
    state = 'is half-written or no bundle' if folder.is_dir() else 'does not exist'
    raise UserError(
      f'bundle {str(folder)!r} {state}: {atomic_folder.MANIFEST} is not there; name another'
    )
  manifest = _read_object(manifest_path)
  for name in (VARIABLES, CARD, *({ENCODER} & manifest.keys())):
    path = folder / name
    if not path.is_file() or manifest.get(name) != regular_file.sha256(path):
      state = 'altered' if path.is_file() else 'missing'
      raise UserError(
        f'bundle {str(folder)!r} is damaged: {name} is {state}; copy it again, or '
        'remove it and make it anew'
      )
  card = _read_object(folder / CARD)
  try:
    # Each layer has an array of its own. A card of some bytes can name a million layers.
    models.check_layers(card['model'], npz.count(folder / VARIABLES))
    model = models.build(card['model'], families)
    dataset = {name: card['dataset'][name] for name in _DATASET}
    _check(card, model.num_classes)
    if isinstance(model, Exported):
      _register(folder / ENCODER, model.function)
    expected = Network.shapes(model, dataset['image_shape']).variables
    variables = _read_variables(folder / VARIABLES, expected)
  except UserError as error:
    raise UserError(f'bundle {str(folder)!r}: {error}') from error
  except KeyError as error:
    raise UserError(f'bundle {str(folder)!r}: {CARD} lacks {error}') from error
  except (
    Exception
  ) as error:  # A card can describe a network that fails in any way when it is built.
    devices.require_backend()  # Without it, the bundle is not to blame.
    reason = ' '.join(f'{error or type(error).__name__}'.split())
    raise UserError(
      f'bundle {str(folder)!r} is not one that this version reads: {reason}; get another, or make '
      'it anew'
    ) from error
  identity = [manifest[VARIABLES], card['model'], dataset['mean'], dataset['std']]
  digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
  return Bundle(Network(variables, model), card, digest, folder)


def _register(path: pathlib.Path, digest: str) -> None:
  """Check and keep the encoder of an imported network; raise ValueError if it is another."""
  regular_file.check(path)
  if path.stat().st_size > exported_function.LIMIT:
    raise ValueError(f'{path.name} has more than {exported_function.LIMIT:,} bytes')
  if exported_function.register(path.read_bytes()) != digest:
    raise ValueError(f'{path.name} is not the encoder that its card names')


def _check(card: Mapping[str, Any], num_classes: int) -> None:
  """Check a card's other entries; raise ValueError for the first that nobody could use."""
  entries = card['dataset']
  shape, classes = entries['image_shape'], entries['class_names']
  if not (isinstance(shape, list) and len(shape) == 3 and all(map(_is_count, shape))):
    raise ValueError(f'its image_shape is {shape} and not height, width and channels')
  if math.prod(shape) > _LARGEST_IMAGE:
    raise ValueError(f'its image_shape is {shape}, more than {_LARGEST_IMAGE:,} values')
  for name in ('mean', 'std'):
    values = entries[name]
    numbers = isinstance(values, list) and all(map(_is_number, values))
    if not numbers or len(values) != shape[-1]:
      raise ValueError(f'its {name} is {values} and not a number for each of {shape[-1]} channels')
  ratio = entries.get('crop_ratio', 1.0)
  if not (_is_number(ratio) and 0 < ratio <= 1):
    raise ValueError(f'its crop_ratio is {ratio} and no share above 0 and up to 1')
  if max(shape[:2]) / ratio > _LARGEST_IMAGE:
    raise ValueError(f'its crop_ratio is {ratio}, which scales images to more than anybody can use')
  if (bits := entries.get('bits', 0)) not in (0, *image.BITS):
    raise ValueError(f'its bits are {bits} and not one of 0, {", ".join(map(str, image.BITS))}')
  if flaw := normalisation.flaw(entries['mean'], entries['std']):
    raise ValueError(f'its {flaw}')
  named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
  if classes is not None and not (named and len(classes) == num_classes):
    raise ValueError(f'its class_names are not {num_classes} names')
  for name in ('training', 'results'):
    if not isinstance(card.get(name, {}), dict):
      raise ValueError(f'its {name} is {card[name]} and no JSON object')
  for name in ('teacher', 'start'):
    if not isinstance(found := card.get('training', {}).get(name), dict | None):
      raise ValueError(f"its training's {name} is {found} and no JSON object")
  for name in ('network', 'label'):
    if not isinstance(found := card.get(name), str | None):
      raise ValueError(f'its {name} is {found} and no text')
  if 'format' in entries:
    for name in _TEXTS:
      if not isinstance(entries.get(name), str):
        raise ValueError(f'its dataset has no {name}')
    # Cards from before the image_folder dataset have no image_size.
    for name in ('image_size', 'teacher_size'):
      if not isinstance(entries.get(name, 0), int):
        raise ValueError(f'its {name} is {entries[name]} and no whole number')


def _is_count(value: Any) -> bool:
  return isinstance(value, int) and value >= 1


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and math.isfinite(value)


def _read_variables(path: pathlib.Path, expected) -> dict[str, Any]:
  """Read the variables; raise ValueError where they differ from the expected shapes."""
  shapes: dict[str, Any] = traverse_util.flatten_dict(expected, sep='/')
  flat = npz.read(path)
  if set(flat) != set(shapes):
    odd = sorted(set(flat) ^ set(shapes))
    raise ValueError(f'its variables are not those of its model: {", ".join(odd[:3])}')
  for name, value in flat.items():
    wanted = shapes[name]
    if (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
      raise ValueError(
        f'{name} is {value.dtype}{list(value.shape)} and not {wanted.dtype}{list(wanted.shape)}'
      )
    if not np.isfinite(value).all():
      raise ValueError(f'{name} has values that are not finite')
  return traverse_util.unflatten_dict(jax.device_put(flat), sep='/')


def _read_object(path: pathlib.Path) -> dict[str, Any]:
  try:
    if path.stat().st_size > JSON_LIMIT:
      raise ValueError(f'it has more than {JSON_LIMIT:,} bytes')
    return regular_file.read_object(path)
  except ValueError as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; get the bundle anew') from error
