"""Images with their classes, as a user has them, in the form that evaluation takes."""

import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pidkd_jax.bundles import image_input
from pidkd_jax.bundles.image_reader import ImageReader
from pidkd_jax.core import image, image_files
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

logger = logging.getLogger(__name__)

_BATCH_SIZE = 256


def of_folder(
  folder: pathlib.Path,
  class_names: Sequence[str],
  shape: tuple[int, int, int],
  crop_ratio: float = 1.0,
) -> ResidentSplit:
  """Read a folder of images, CLASS/IMAGE, by the rule of `ImageReader`.

  Args:
    folder: has a folder for each class, or for some of them.
    class_names: K names, in the order of the labels.
    shape: (H, W, C) that the network takes.
    crop_ratio: the share of an image's shorter side that it sees.

  Raises:
    UserError: there is no such folder, one of its folders is no class or several, there are no
      images, or some cannot be used.
  """
  if not folder.is_dir():
    raise UserError(f'{str(folder)!r} is no folder; name one with CLASS/IMAGE')
  classes = sorted(p for p in folder.iterdir() if p.is_dir() and not image_files.is_junk(p.name))
  strange = [path.name for path in classes if path.name not in class_names]
  if strange:
    raise UserError(
      f'folders in {str(folder)!r} that are no class of the bundle: {listed(strange, 5)}; '
      f'its classes are: {listed(class_names, 10)}'
    )
  if shared := [path.name for path in classes if class_names.count(path.name) > 1]:
    raise UserError(
      f'folders in {str(folder)!r} whose name several classes of the bundle have: '
      f'{listed(shared, 5)}; remove them, or make the bundle anew with other names of classes'
    )
  paths, labels = [], []
  for path in classes:
    found, others = image_files.find(path)
    if others:
      logger.warning('%s: %d entries passed over that are no images', path, sum(others.values()))
    paths += found
    labels += [class_names.index(path.name)] * len(found)
  if not paths:
    raise UserError(
      f'{str(folder)!r} has no images; put them there as CLASS/IMAGE'
      f' ({", ".join(image_files.SUFFIXES)})'
    )
  return ResidentSplit(_pixels(paths, shape, crop_ratio), np.asarray(labels, np.int32))


def of_arrays(
  images: Any,
  labels: Any,
  num_classes: int,
  shape: tuple[int, int, int],
  crop_ratio: float = 1.0,
) -> ResidentSplit:
  """Take images, as `image_input.take` does, with their labels.

  Args:
    images: N of them; floats in [0, 1] are rounded to 256 levels.
    labels: int [N], from 0 to K - 1.
    num_classes: K.
    shape: (H, W, C) that the network takes.
    crop_ratio: the share of a file's shorter side that it sees.

  Raises:
    UserError: images or labels are of another form, or their numbers differ.
  """
  taken, _ = image_input.take(images, shape)
  pixels = taken if isinstance(taken, np.ndarray) else _pixels(taken, shape, crop_ratio)
  if pixels.dtype != np.uint8:
    pixels = np.rint(pixels * 255).astype(np.uint8)
  found = np.atleast_1d(np.asarray(labels))
  if found.shape != (len(pixels),) or not len(pixels):
    raise UserError(
      f'there are {len(pixels)} images, and the labels are {list(found.shape)}; give one for each'
    )
  if found.dtype.kind not in 'iu' or found.min() < 0 or found.max() >= num_classes:
    raise UserError(f'the labels must be integers from 0 to {num_classes - 1}, one for each image')
  return ResidentSplit(pixels, found.astype(np.int32))


def _pixels(sources: Sequence, shape: tuple[int, int, int], crop_ratio: float) -> np.ndarray:
  batches = list(ImageReader(sources, shape, crop_ratio).batches(_BATCH_SIZE))
  if refused := [one for batch in batches for one in batch.refused]:
    raise image.unusable(refused)
  return np.concatenate([np.empty((0, *shape), np.uint8), *(batch.pixels for batch in batches)])
