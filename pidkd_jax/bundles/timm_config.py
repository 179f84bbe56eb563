"""What timm's hub says of a checkpoint, in the file config.json beside it."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any, cast

from pidkd_jax.bundles.preprocessing import Preprocessing
from pidkd_jax.core import normalisation, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation

FILE = 'config.json'


@dataclasses.dataclass(frozen=True)
class TimmConfig:
  """A network of timm and what its images are.

  Attributes:
    architecture: its name in timm.
    preprocessing: of the images that it was evaluated on.
    class_names: None where the file does not list them.
    num_classes: None where it does not tell their number.
  """

  architecture: str
  preprocessing: Preprocessing
  class_names: tuple[str, ...] | None
  num_classes: int | None


def read(checkpoint: pathlib.Path) -> TimmConfig | None:
  """Return what the file beside a checkpoint says, or None where there is none of timm's.

  Args:
    checkpoint: path of the file that holds the weights.

  Raises:
    UserError: it is timm's and lacks an entry, or has one that no images can have.

  Source: `save_for_hf` of timm 1.0.31, timm/models/_hub.py.
  """
  path = checkpoint.with_name(FILE)
  try:
    content = regular_file.read_object(path)
  except (OSError, ValueError):
    return None
  entries = content.get('pretrained_cfg')
  if not isinstance(entries, dict) or not isinstance(content.get('architecture'), str):
    return None
  try:
    return _config(content, entries)
  except (KeyError, TypeError, ValueError, OverflowError) as error:
    raise UserError(
      f'{str(path)!r}, beside the checkpoint, is damaged ({" ".join(str(error).split())[:80]}); '
      'get it anew, or remove it and give --mean, --std and --image_size'
    ) from error


def _config(content: Mapping[str, Any], entries: Mapping[str, Any]) -> TimmConfig:
  channels, height, width = (int(side) for side in entries['input_size'])
  mean, std = (tuple(float(value) for value in entries[name]) for name in ('mean', 'std'))
  if flaw := normalisation.flaw(mean, std):
    raise ValueError(flaw)
  crop_ratio = float(entries.get('crop_pct', 1))
  names = _texts(content.get('label_names'))
  sound = min(channels, height, width) > 0 and len(mean) == len(std) == channels
  if not sound or not 0 < crop_ratio < math.inf:
    raise ValueError(f'input_size {entries["input_size"]}, crop_pct {crop_ratio:g}')
  number = content.get('num_classes', names and len(names))
  if names is not None and len(names) != number:
    raise ValueError(f'{len(names)} label_names for {number} classes')
  return TimmConfig(
    architecture=content['architecture'],
    preprocessing=Preprocessing(
      image_shape=(height, width, channels),
      normalisation=Normalisation(mean, std),
      crop_ratio=min(crop_ratio, 1.0),
      # timm's own defaults.
      interpolation=str(entries.get('interpolation') or 'bicubic'),
      crop_mode=str(entries.get('crop_mode') or 'center'),
    ),
    class_names=names,
    num_classes=None if number is None else int(number),
  )


def _texts(value: object) -> tuple[str, ...] | None:
  """Return a list of texts as a tuple, or None for anything else."""
  texts = tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
  return texts if texts and len(texts) == len(cast(list[object], value)) else None
