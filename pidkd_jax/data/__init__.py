"""Datasets in memory, all of them by way of TFDS and none of them by way of TensorFlow.

A dataset is one file in this folder: a TFDS builder and an entry in the file's `DATASETS`.
"""

import os

from tensorflow_datasets.core import constants

from pidkd_jax import registry
from pidkd_jax.data import arrays
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.preparation import prepare
from pidkd_jax.errors import UserError
from pidkd_jax.types import DatasetSpec

__all__ = ['Dataset', 'load', 'names', 'published']


def names() -> list[str]:
  """The datasets that can be loaded."""
  return list(registry.discover('pidkd_jax.data', 'DATASETS'))


def published(name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
  """The published mean and standard deviation of the official images, if there are any.

  Raises:
    UserError: no such dataset.
  """
  source = registry.find('dataset', 'pidkd_jax.data', 'DATASETS', name)
  return None if source.mean is None else (source.mean, source.std)


def load(
  name: str,
  *,
  directory: str = '',
  archive: str = '',
  verify: bool = True,
  image_size: int = 0,
) -> Dataset:
  """Loads a dataset into memory; prepares it first where that has not been done.

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

  Returns:
    Both splits and the spec.

  Raises:
    UserError: in one line, if the name is unknown, the archive missing, damaged or refused, the
      network away, the disk full, what is prepared damaged or the folder of images unusable.
  """
  source = registry.find('dataset', 'pidkd_jax.data', 'DATASETS', name)
  directory = os.path.expanduser(directory or constants.get_default_data_dir())
  if '://' in directory:
    raise UserError(f'cannot read from {directory}; stage it to a local folder first')
  builder, origin = prepare(source, directory, archive, verify, image_size)
  train, test = arrays.read(builder, 'train'), arrays.read(builder, source.test)
  mean, std = source.mean, source.std
  # Statistics that were published hold for the official images only.
  if mean is None or builder.name != name:
    mean, std = arrays.statistics(train.images)
  shape = train.images.shape[1:]
  spec = DatasetSpec(
    name=builder.name,
    format=name,
    archive=os.path.abspath(os.path.expanduser(archive)) if archive else '',
    source=origin,
    class_names=tuple(builder.info.features['label'].names),
    labels=train.labels,
    image_shape=shape,
    mean=mean,
    std=std,
    padding=min(shape[:2]) // 8 if source.padding is None else source.padding,
    flip=source.flip,
    fingerprint=arrays.fingerprint(train, test),
    image_size=image_size,
  )
  return Dataset(spec, train, test)
