"""Images with their classes, as a user has them, in the form that evaluation takes."""

import logging
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pidkd_jax.bundles import image_input
from pidkd_jax.bundles.image_reader import ImageReader, Source
from pidkd_jax.core import host_memory, image, image_files
from pidkd_jax.core.errors import UserError, listed
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

logger = logging.getLogger(__name__)

_BATCH_SIZE = 256
# Evaluation pads the images and puts them onto the device, which may be the host's memory.
_COPIES = 3

# Images to a reader, as `TrainedNetwork.reader` makes it.
Read = Callable[[Sequence[Source]], ImageReader]


def of_folder(folder: pathlib.Path, class_names: Sequence[str], read: Read) -> ResidentSplit:
  """Read a folder of images, CLASS/IMAGE, as a folder of images for training is read.

  Args:
    folder: has a folder for each class, or for some of them.
    class_names: K names, in the order of the labels.
    read: makes the network's reader of the files.

  Raises:
    UserError: there is no such folder, one of its folders is no class or several, there are no
      images, some cannot be used, or they do not fit into memory.
  """
  # A path of pathlib raises where a name is too long.
  if not os.path.isdir(folder):
    raise UserError(f'{str(folder)!r} is no folder; name one with CLASS/IMAGE')
  try:
    entries = sorted(path for path in folder.iterdir() if not image_files.is_junk(path.name))
    classes = [path for path in entries if path.is_dir()]
  except OSError as error:
    raise UserError(f'{str(folder)!r} cannot be read: {error.strerror or error}') from error
  names = [*map(image_files.named, class_names)]
  if loose := len(entries) - len(classes):
    logger.warning('%s: %d entries passed over that are no folders of classes', folder, loose)
  strange = [path.name for path in classes if image_files.named(path.name) not in names]
  if strange:
    raise UserError(
      f'folders in {str(folder)!r} that are no class of the bundle: {listed(strange, 5)}; '
      f'its classes are: {listed(class_names, 10)}'
    )
  if shared := [one.name for one in classes if names.count(image_files.named(one.name)) > 1]:
    raise UserError(
      f'folders in {str(folder)!r} whose name several classes of the bundle have: '
      f'{listed(shared, 5)}; remove them, or make the bundle anew with other names of classes'
    )
  paths, labels = [], []
  for path in classes:
    # As for training, images in folders below a class's are passed over.
    below, others = image_files.find(path)
    found = [one for one in below if one.parent == path]
    if passed_over := len(below) - len(found) + sum(others.values()):
      logger.warning('%s: %d entries passed over that are no images of it', path, passed_over)
    paths += found
    labels += [names.index(image_files.named(path.name))] * len(found)
  if not paths:
    raise UserError(
      f'{str(folder)!r} has no images; put them there as CLASS/IMAGE'
      f' ({", ".join(image_files.SUFFIXES)})'
    )
  return ResidentSplit(_pixels(read(paths)), np.asarray(labels, np.int32))


def of_arrays(
  images: Any,
  labels: Any,
  num_classes: int,
  shape: tuple[int, int, int],
  read: Read,
) -> ResidentSplit:
  """Take images, as `image_input.take` does, with their labels.

  Args:
    images: N of them; floats in [0, 1] are rounded to 256 levels.
    labels: int [N], from 0 to K - 1.
    num_classes: K.
    shape: (H, W, C) that the network takes.
    read: makes the network's reader of files.

  Raises:
    UserError: images or labels are of another form, or their numbers differ.
  """
  taken, _ = image_input.take(images, shape)
  pixels = taken if isinstance(taken, np.ndarray) else _pixels(read(taken))
  if pixels.dtype != np.uint8:
    pixels = np.rint(pixels * 255).astype(np.uint8)
  try:
    found = np.atleast_1d(np.asarray(labels))
  except (TypeError, ValueError):  # Lists of different lengths.
    raise UserError('the labels are no array; give one integer for each image') from None
  if found.shape != (len(pixels),) or not len(pixels):
    raise UserError(
      f'there are {len(pixels)} images, and the labels are {list(found.shape)}; give one for each'
    )
  if found.dtype.kind not in 'iu' or found.min() < 0 or found.max() >= num_classes:
    raise UserError(f'the labels must be integers from 0 to {num_classes - 1}, one for each image')
  return ResidentSplit(pixels, found.astype(np.int32))


def _pixels(reader: ImageReader) -> np.ndarray:
  """Return all images, uint8 [N, H, W, C]; raise UserError where they do not fit into memory."""
  height, width, _ = reader.shape
  size, free = len(reader) * math.prod(reader.shape), host_memory.free()
  if _COPIES * size > free:
    raise UserError(
      f'the {len(reader):,} images at {width}x{height} take {_COPIES} x {size / 1e9:.1f} GB of'
      f' memory, and {free / 1e9:.1f} GB are free; have them read from disk, by `pidkd evaluate'
      ' --data image_folder --archive FOLDER`, where FOLDER has train/CLASS/IMAGE and'
      ' test/CLASS/IMAGE'
    )
  pixels, count, refused = np.empty((len(reader), *reader.shape), np.uint8), 0, []
  for batch in reader.batches(_BATCH_SIZE):
    pixels[count : count + len(batch.pixels)] = batch.pixels
    count += len(batch.pixels)
    refused += batch.refused
  if refused:
    raise image.unusable(refused)
  return pixels
