"""Images without labels that stand beside a dataset: prepared once, then in memory or on disk."""

import logging
import os
from pathlib import Path
from typing import cast

import numpy as np

from pidkd_jax.core.errors import listed
from pidkd_jax.data import equal_images
from pidkd_jax.data.dataset import Unlabelled
from pidkd_jax.data.pipeline.example_reader import ExampleReader
from pidkd_jax.data.pipeline.resident_reader import read_split
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.data.pipeline.streamed_split import StreamedSplit
from pidkd_jax.data.sources import unlabelled_folder
from pidkd_jax.data.sources.unlabelled_folder import UnlabelledFolder
from pidkd_jax.data.tfds.builder import open_or_prepare
from pidkd_jax.data.tfds.prepared_split import PreparedSplit
from pidkd_jax.data.tfds.records import READERS

logger = logging.getLogger(__name__)

# Names of images in a line on the screen.
_NAMED = 3


def prepare(
  folder: str, directory: str, image_shape: tuple[int, int, int], bits: int = 0
) -> list[PreparedSplit]:
  """Prepare a folder of images once, for a dataset whose stored images have a shape (H, W, C).

  Args:
    folder: its images may have any size and lie in folders of any depth; '' for none.
    directory: TFDS's data_dir.
    image_shape: (H, W, C).
    bits: of the dataset's spec.

  Returns:
    The prepared images; nothing without a folder.

  Raises:
    UserError: as `unlabelled_folder.bind`; or images cannot be used, all of which are named; or
      the disk is full.
  """
  if not folder:
    return []
  place = Path(os.path.expanduser(folder)).absolute()
  builder = unlabelled_folder.bind(place, image_shape, bits)
  return [PreparedSplit(open_or_prepare(builder, directory), 'train')]


def opened(found: list[PreparedSplit], beside: Split, test: Split) -> Unlabelled | None:
  """Return prepared images, in memory or on disk as the training split is.

  In memory, images that a test image equals pixel by pixel are warned of. On disk they are not
  looked for, and the log says so.

  Args:
    found: by `prepare`.
    beside: the training split.
    test: the test split.

  Raises:
    UserError: a prepared file is damaged.
  """
  if not found:
    return None
  [prepared] = found
  identity = cast(UnlabelledFolder, prepared.builder).identity
  labels = np.full(len(prepared), -1, np.int32)
  if isinstance(beside, ResidentSplit):
    images = read_split(prepared).images
    _warn_of_test_images(prepared, images, test)
    return Unlabelled(ResidentSplit(images, labels, beside.side), identity)
  reader = ExampleReader(prepared)
  reader.check()
  logger.info('%s: its images are not compared with the test images', prepared.builder.name)
  split = StreamedSplit(reader, labels, np.arange(len(labels)), beside.side)
  return Unlabelled(split, identity)


def _warn_of_test_images(prepared: PreparedSplit, images: np.ndarray, test: Split) -> None:
  assert isinstance(test, ResidentSplit)
  if same := equal_images.rows(images, test.images):
    names = _names(prepared)
    logger.warning(
      '%d of the %d unlabelled images are test images, pixel by pixel (%s); students that train on '
      'them look better than they are, so remove them',
      len(same),
      len(images),
      listed([names[row] for row in same], _NAMED),
    )


def _names(prepared: PreparedSplit) -> list[str]:
  """Return the paths of the images within their folder, in the order of the prepared files."""
  read = READERS[prepared.file_format]
  records = (record for file in prepared.files for record in read(file.filename))
  return [prepared.deserialize(record)['id'].decode() for record in records]
