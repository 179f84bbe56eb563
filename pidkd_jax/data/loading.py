"""Opens a dataset by name; prepares it first where that has not been done.

A dataset is one file in this folder: a TFDS builder and an entry in the file's `DATASETS`.
"""

import logging
import os

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants

from pidkd_jax.core import registry
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline import resident_split, statistics
from pidkd_jax.data.pipeline.statistics_cache import dataset_statistics
from pidkd_jax.data.pipeline.streamed import Records, StreamedSplit
from pidkd_jax.data.tfds.preparation import prepare
from pidkd_jax.data.tfds.prepared import Prepared

logger = logging.getLogger(__name__)


def names() -> list[str]:
  """The datasets that can be loaded."""
  return list(registry.discover('pidkd_jax.data.sources', 'DATASETS'))


def published(name: str) -> Normalisation | None:
  """Return the published normalisation of the official images, if there is one.

  Raises:
    UserError: no such dataset.
  """
  return registry.find('dataset', 'pidkd_jax.data.sources', 'DATASETS', name).normalisation


def load(
  name: str,
  *,
  directory: str = '',
  archive: str = '',
  verify: bool = True,
  image_size: int = 0,
  limit: int | None = None,
) -> Dataset:
  """Opens a dataset; prepares it first where that has not been done.

  Args:
    name: one of `names()`.
    directory: TFDS's data_dir; '' is TFDS's default ($TFDS_DATA_DIR or ~/tensorflow_datasets).
      What is prepared there is opened, with neither archive nor network.
    archive: path of an archive that the user has; '' looks in TFDS's manual folder
      (<directory>/downloads/manual), then downloads. For `image_folder`, the folder of images.
    verify: whether to refuse an archive whose SHA-256 is not the official one. If not, its data
      have a name of their own ('unverified_...'), the classes and counts that it holds, and pixel
      statistics computed from its train split. A folder of images has nothing official.
    image_size: side in pixels that the images of `image_folder` are brought to; 0: they all have
      one size already. Those of the other datasets have theirs.
    limit: bytes that the images of both splits may take, decoded. A larger dataset stays on disk
      and is streamed: its images are read, and decoded, as they are needed. None: it is read into
      memory in any case.

  Returns:
    Both splits and the spec, which is the same whether the dataset is streamed or not.

  Raises:
    UserError: in one line, if the name is unknown, the archive missing, damaged or refused, the
      network away, the disk full, what is prepared damaged or the folder of images unusable.
  """
  source = registry.find('dataset', 'pidkd_jax.data.sources', 'DATASETS', name)
  directory = os.path.expanduser(directory or constants.get_default_data_dir())
  if '://' in directory:
    raise UserError(f'cannot read from {directory}; stage it to a local folder first')
  builder, origin = prepare(source, directory, archive, verify, image_size, in_memory=limit is None)
  splits = Prepared(builder, 'train'), Prepared(builder, source.test)
  size = sum(split.nbytes for split in splits)
  streamed = limit is not None and size > limit
  train, test, fingerprint, levels = (_stored if streamed else _read)(*splits)
  if streamed:
    logger.info(
      '%s is streamed: its images take %.0f MiB, and %.0f MiB are theirs',
      builder.name,
      size / 2**20,
      limit / 2**20,
    )
  normalisation = source.normalisation
  # Statistics that were published hold for the official images only.
  if normalisation is None or builder.name != name:
    normalisation = statistics.normalisation(levels())
  shape = train.image_shape
  spec = DatasetSpec(
    name=builder.name,
    format=name,
    archive=os.path.abspath(os.path.expanduser(archive)) if archive else '',
    source=origin,
    class_names=tuple(builder.info.features['label'].names),
    labels=train.labels,
    image_shape=shape,
    normalisation=normalisation,
    padding=min(shape[:2]) // 8 if source.padding is None else source.padding,
    flip=source.flip,
    fingerprint=fingerprint,
    image_size=image_size,
  )
  return Dataset(spec, train, test)


def _read(*splits: Prepared):
  """Both splits in memory, their fingerprint, and what counts the levels of the first."""
  train, test = map(resident_split.read_split, splits)
  return train, test, statistics.fingerprint(train, test), lambda: statistics.levels(train.images)


def _stored(*splits: Prepared):
  """The same of splits that stay on disk."""
  for split in splits:
    if split.builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
      raise UserError(
        f'{split.builder.data_dir} is prepared as {split.builder.info.file_format.value}, of which'
        ' no single record can be read; delete that folder and run again, or read it into memory'
        ' with --config.data.streaming=never'
      )
  train, test = map(Records, splits)
  found = dataset_statistics(train, test)
  stored = (
    StreamedSplit(records, labels, np.arange(len(labels)))
    for records, labels in ((train, found.train), (test, found.test))
  )
  return *stored, found.fingerprint, lambda: found.levels
