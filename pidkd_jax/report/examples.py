"""The test images that a run keeps for its report."""

import dataclasses
import pathlib

import numpy as np

from pidkd_jax.core import npz
from pidkd_jax.core.errors import UserError

# Channels of an image that can be shown: grey or RGB.
_SHOWN = (1, 3)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Some test images; each network's `Outputs.probabilities` are of these.

  Attributes:
    position: int [E], where they stand among the test images.
    label: int [E], the true classes.
    image: uint8 [E, H, W, C], grey or RGB.
  """

  position: np.ndarray
  label: np.ndarray
  image: np.ndarray


def read(path: pathlib.Path) -> Examples | None:
  """Read the images of a run; None where their channels are not those of grey or RGB.

  Raises:
    UserError: the file is damaged.
  """
  try:
    arrays = npz.read(path)
    examples = Examples(**{f.name: arrays[f.name] for f in dataclasses.fields(Examples)})
    _check(examples)
  except (ValueError, KeyError) as error:
    raise UserError(f'{str(path)!r} is damaged: {error}; remove it, or copy it again') from error
  return examples if examples.image.shape[-1] in _SHOWN else None


def _check(examples: Examples) -> None:
  """Raise ValueError unless shapes, types and ranges are those of images with labels."""
  for name in ('position', 'label'):
    values = getattr(examples, name)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or values.min(initial=0) < 0:
      raise ValueError(f'{name} holds no row of whole numbers from 0 up')
  image = examples.image
  if image.dtype != np.uint8 or image.ndim != 4 or not image.size:
    raise ValueError('image holds no pictures')
  if not len(examples.position) == len(examples.label) == len(image):
    raise ValueError('position, label and image are of different lengths')
