"""Open a dataset by name; prepare it first if needed."""

import logging
import os
from collections.abc import Callable

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants

from pidkd_jax.core import image as image_lib
from pidkd_jax.core import own_code, registry
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.data import own_dataset, sizes, unlabelled_images
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline import decoded_images, statistics
from pidkd_jax.data.pipeline.example_reader import ExampleReader
from pidkd_jax.data.pipeline.split import Split
from pidkd_jax.data.pipeline.statistics_cache import dataset_statistics
from pidkd_jax.data.pipeline.streamed_split import StreamedSplit
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.preparation import prepare
from pidkd_jax.data.tfds.prepared_split import PreparedSplit

logger = logging.getLogger(__name__)

# Both splits, their fingerprint, and a function that returns the histogram of the first.
_Opened = tuple[Split, Split, str, Callable[[], np.ndarray]]


def names() -> list[str]:
  """Return the names of the datasets; 'module:Class' names one of the user's own.

  Example:
    >>> names()[:3]
    ['cifar100', 'digits', 'image_folder']
  """
  return list(registry.discover('pidkd_jax.data.sources', 'DATASETS'))


def published(name: str) -> Normalisation | None:
  """Return the published normalisation of a dataset's official images, if there is one.

  Raises:
    UserError: there is no such dataset.

  Example:
    >>> published('cifar100').mean
    (0.5071, 0.4867, 0.4408)
  """
  return _source(name).normalisation


def _source(name: str) -> Source:
  if own_code.is_own(name):
    return own_dataset.load(name)
  return registry.find('dataset', 'pidkd_jax.data.sources', 'DATASETS', name)


def load(
  name: str,
  *,
  directory: str = '',
  archive: str = '',
  verify: bool = True,
  image_size: int = 0,
  crop_ratio: float = 1.0,
  teacher_size: int = 0,
  unlabelled: str = '',
  limit: int | None = None,
) -> Dataset:
  """Open a dataset; prepare it first if needed.

  Args:
    name: one of `names()`, or 'module:Class' for a TFDS builder that the user wrote. Such a name
      imports the module, so it must come from the user.
    directory: TFDS's data_dir; '' for TFDS's default ($TFDS_DATA_DIR or ~/tensorflow_datasets). An
      official dataset that is prepared there needs neither archive nor network. `image_folder`
      needs its folder at each start.
    archive: the path of the user's own archive; '' to look in TFDS's manual folder
      (<directory>/downloads/manual) and then to download. For `image_folder`, the folder of images.
    verify: whether to refuse an archive whose SHA-256 is not the official one. Otherwise its
      dataset has a name of its own ('unverified_...'), the archive's classes and counts, and pixel
      statistics computed from its training split. A folder of images has no official SHA-256.
    image_size: the side in pixels of the square images that networks see; 0 for the dataset's own
      size. Images are scaled, antialiased, until they cover the square, and the middle is kept.
    crop_ratio: the share of the shorter side that evaluation keeps, as timm's `crop_pct`. Images
      are stored as squares of the side `image_size / crop_ratio`, rounded down. Training takes a
      random part of each, and evaluation the middle. 1 stores what evaluation sees.
    teacher_size: the side of the images that the teacher sees, where it is larger than
      `image_size`; else 0. It takes the place of `image_size` above, and students see the same
      crops, resampled.
    unlabelled: a folder of images without labels, of any size and in folders of any depth, for
      students whose loss reads no label; '' for none. They are stored in the size of the dataset.
    limit: the most bytes that all decoded images may take in memory. A larger
      dataset is streamed: its images stay on disk, and are read and decoded as they are needed.
      None to read any dataset into memory.

  Returns:
    Both splits and their description, which does not depend on streaming.

  Raises:
    UserError: in one line, if the name is unknown, the archive is missing, damaged or refused, the
      network is unreachable, the disk is full, the prepared files are damaged or the folder of
      images is unusable.

  Example:
    >>> data = load('digits')  # doctest: +SKIP
    >>> len(data.train), data.test.images[:8].shape  # doctest: +SKIP
    (1297, (8, 8, 8, 1))
  """
  source = _source(name)
  directory = os.path.expanduser(directory or constants.get_default_data_dir())
  if directory.startswith('~'):
    raise UserError(
      f'{directory}: this user has no home folder; say where data lie with `directory`'
    )
  if '://' in directory:
    raise UserError(f'cannot read from {directory}; stage it to a local folder first')
  sizes.check(image_size, teacher_size)
  seen_size = teacher_size or image_size
  side = _stored_side(seen_size, crop_ratio)
  if own_code.is_own(name):
    source, builder = own_dataset.prepare(name, source, directory, archive)
    origin = source.origin
  else:
    in_memory = limit is None
    builder, origin = prepare(source, directory, archive, verify, side, in_memory)
  train, test = (_prepared(builder, name, side) for name in ('train', source.test))
  splits = train, test
  more = unlabelled_images.prepare(
    unlabelled, directory, train.image_shape, getattr(builder, 'bits', 0)
  )
  size = sum(split.nbytes for split in (*splits, *more))
  if limit is None or size <= limit:
    train, test, fingerprint, histogram = _read_into_memory(*splits)
  else:
    train, test, fingerprint, histogram = _open_on_disk(*splits)
    logger.info(
      '%s is streamed: its images take %.0f MiB, and the limit is %.0f MiB',
      builder.name,
      size / 2**20,
      limit / 2**20,
    )
  train, test, fingerprint = sizes.seen(
    train,
    test,
    fingerprint,
    side=seen_size if crop_ratio < 1 else 0,
    size=image_size if teacher_size else 0,
  )
  normalisation = source.normalisation
  # Published statistics hold for the source's own images, not for another archive's.
  if normalisation is None or builder.name != source.builder.name:
    normalisation = statistics.normalisation(histogram())
  shape = train.image_shape
  if splits[0].side:
    origin += f', scaled and cut to {side}x{side}'
  if crop_ratio < 1:
    origin += f', of which evaluation sees the middle {seen_size}x{seen_size}'
  if teacher_size:
    origin += f', resampled to {image_size}x{image_size} for students'
  spec = DatasetSpec(
    name=builder.name,
    format=name,
    archive=os.path.abspath(os.path.expanduser(archive)) if archive else '',
    source=origin,
    class_names=splits[0].class_names,
    labels=train.labels,
    image_shape=shape,
    normalisation=normalisation,
    padding=source.padding
    if source.padding is not None and not splits[0].side
    else min(train.seen_shape[:2]) // 8,
    flip=source.flip,
    fingerprint=fingerprint,
    image_size=image_size,
    crop_ratio=crop_ratio,
    teacher_size=teacher_size,
    bits=getattr(builder, 'bits', 0),
  )
  return Dataset(spec, train, test, unlabelled_images.opened(more, train, test))


def _stored_side(image_size: int, crop_ratio: float) -> int:
  """Return the side of the stored images; 0 for the dataset's own size."""
  if not 0 < crop_ratio <= 1:
    raise UserError(f'`crop_ratio` is {crop_ratio}; a share above 0 and up to 1 is needed')
  if image_size and image_size < image_lib.LEAST_SIDE:
    raise UserError(
      f'`image_size` is {image_size}; it must be at least {image_lib.LEAST_SIDE}, or 0 for the'
      " dataset's own size"
    )
  if crop_ratio < 1 and not image_size:
    raise UserError(
      f'`crop_ratio` is {crop_ratio}, and no size was given to crop to; name it with'
      ' `image_size`, e.g. 224'
    )
  return image_lib.before_crop(image_size, crop_ratio)


def _prepared(builder: tfds.core.DatasetBuilder, split: str, side: int) -> PreparedSplit:
  """Return a prepared split; its images are scaled to `side` unless they are stored so."""
  stored = PreparedSplit(builder, split)
  unchanged = not side or stored.image_shape[:2] == (side, side)
  return stored if unchanged else PreparedSplit(builder, split, side)


def _read_into_memory(*splits: PreparedSplit) -> _Opened:
  train, test, fingerprint = decoded_images.read(*splits)
  return train, test, fingerprint, lambda: statistics.histogram(train.images)


def _open_on_disk(*splits: PreparedSplit) -> _Opened:
  for split in splits:
    if split.file_format != tfds.core.FileFormat.ARRAY_RECORD:
      raise UserError(
        f'{split.builder.data_dir} is prepared as {split.file_format.value}, of which'
        ' no single record can be read; delete that folder and run again, or read it into memory'
        ' with `limit=None`'
      )
  train, test = map(ExampleReader, splits)
  computed = dataset_statistics(train, test)

  def streamed(reader: ExampleReader, labels: np.ndarray) -> StreamedSplit:
    return StreamedSplit(reader, labels, positions=np.arange(len(labels)))

  return (
    streamed(train, computed.train_labels),
    streamed(test, computed.test_labels),
    computed.fingerprint,
    lambda: computed.histogram,
  )
