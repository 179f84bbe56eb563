"""The user's own images: a folder of classes, a table of labels, or shards."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from pidkd_jax.core import host_memory
from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.image import File
from pidkd_jax.data.sources import equal_files, label_table, tar_shards
from pidkd_jax.data.sources.folder import Folder, scan
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import own_name

logger = logging.getLogger(__name__)


class ImageFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """A counterpart of TFDS's ImageFolder that is prepared once, and without TensorFlow.

  An image becomes RGB and upright. If a size is given, it is scaled until its shorter side has that
  size, antialiased, and the middle is kept. The result is stored as PNG. The classes are the
  folders of train, sorted. The id of an example is its path within the folder.

  Attributes, which `bind` sets:
    folder: the images on disk.
    shape: (H, W, 3) of the prepared images.
    description: one line with the folder's name, its splits, and the size.
    side: the H and W to which images are resized; 0 if they all have `shape`.
    bits: the bits that the values of images of 16 bits need (`image.bits_of`); 0 if none has 16.
  """

  VERSION = tfds.core.Version('1.0.0')

  folder: Folder
  shape: tuple[int, int, int]
  description: str
  side: int
  bits: int

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.description,
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=self.shape),
          'label': tfds.features.ClassLabel(names=self.folder.class_names),
        }
      ),
      supervised_keys=('image', 'label'),
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # Nothing to download.
    train, test = self.folder.images['train'], self.folder.images['test']
    return {
      'train': self._generate_examples(train, following=test),
      'test': self._generate_examples(test, following={}),
    }

  def _generate_examples(self, images, following):
    """Yield a split's examples; raise UserError at the end, with all images that are none.

    Args:
      images: {class: paths} of the split.
      following: the same of a split that comes later. It is looked at if this one has such images.
    """
    refused = []
    for name, path in _pairs(images):
      key = self.folder.name(path)
      try:
        image = self._image(path)
      except ValueError as error:
        refused.append(f'{path} is {error}')
        continue
      yield key, {'id': key, 'image': image, 'label': name}
    if not refused:
      return
    for _, path in _pairs(following):
      try:
        image_lib.upright(path, self.bits)
      except ValueError as error:
        refused.append(f'{path} is {error}')
    raise image_lib.unusable(refused)

  def _image(self, path):
    image = image_lib.upright(path, self.bits)
    if self.side:
      return image_lib.cover(image, self.side, self.side)
    height, width, _ = self.shape
    if image.size != (width, height):
      raise UserError(
        f'{path} is {image.width}x{image.height} pixels, and {_first(self.folder)[0]} is'
        f' {width}x{height}; bring them to one size with `image_size`, e.g. 32'
      )
    return image


def bind(path: Path, image_size: int, in_memory: bool) -> type[ImageFolder]:
  """Return the builder of one folder, under a name made of its images and the size.

  Args:
    path: the folder, a table (`label_table`) or shards (`tar_shards`). Every image in it is read,
      for the name.
    image_size: the side of the square images to make; 0 for images that have one size already.
    in_memory: whether the images have to fit into the machine's memory.

  Raises:
    UserError: the images are not usable (see `scan`, `label_table.read` and `tar_shards.read`),
      smaller than 8 pixels, or they do not fit into memory.
  """
  readers = {label_table.read: label_table.is_table, tar_shards.read: tar_shards.are_shards}
  images = next((read for read, fits in readers.items() if fits(path)), scan)(path)
  first, size = _first(images)
  width, height = (image_size, image_size) if image_size else size
  if min(width, height) < image_lib.LEAST_SIDE:
    raise UserError(
      f'{first} is {width}x{height} pixels, fewer than {image_lib.LEAST_SIDE}; enlarge the'
      ' images with `image_size`, e.g. 32'
    )
  size, memory = len(images.paths) * width * height * 3, host_memory.installed()
  if in_memory and size > memory:
    raise UserError(
      f'the {len(images.paths):,} images of {path} at {width}x{height} take {size / 1e9:.1f} GB and'
      f' this machine has {memory / 1e9:.1f}; give a smaller `image_size`, or'
      ' `limit=0`, which leaves them on disk'
    )
  depth = image_lib.bits_of(images.paths)
  contents = images.contents()
  equal_files.warn(path, images, contents)
  identity, notes = f'{images.sha256(contents)} {image_size}', ''
  if 0 < depth < 16:
    # A name of its own: without looking at the values, their high byte was taken.
    identity, notes = f'{identity} {depth}', f', values of 16-bit images taken as {depth} bits'
    logger.warning(
      '%s: the values of the 16-bit images need %d bits; they are taken as of that depth',
      path,
      depth,
    )
  sha256 = hashlib.sha256(identity.encode()).hexdigest()
  scaled = f'scaled and cut to {image_size}x{image_size}' if image_size else 'not scaled'

  class Bound(ImageFolder, skip_registration=True):
    name = own_name('folder', path, sha256)
    folder = images
    shape = (height, width, 3)
    description = f'{path.name}, {images.origin}, {scaled}{notes}'
    side = image_size
    bits = depth

  return Bound


def _pairs(images: Mapping[str, Sequence[File]]) -> Iterator[tuple[str, File]]:
  """Yield (class, path) of each image of a split."""
  for name, paths in images.items():
    for path in paths:
      yield name, path


def _first(folder: Folder) -> tuple[File, tuple[int, int]]:
  """Return the first image that can be read, and its size; raise UserError where there is none."""
  refused = []
  for path in folder.paths:
    try:
      return path, image_lib.upright(path).size
    except ValueError as error:
      refused.append(f'{path} is {error}')
  raise image_lib.unusable(refused)


DATASETS = {
  'image_folder': Source(
    builder=ImageFolder,
    bind=bind,
    origin="the user's own images",
    flip=True,
  ),
}
