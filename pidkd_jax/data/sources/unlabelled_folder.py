"""A folder of the user's own images without labels, at any depth and of any size."""

import hashlib
import logging
import os
from pathlib import Path

import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax.core import image as image_lib
from pidkd_jax.core import image_files, regular_file
from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.data.tfds.builder import own_name

logger = logging.getLogger(__name__)

# TFDS needs a name for a class. No image has it.
_NO_CLASS = 'unlabelled'


class UnlabelledFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Images that become upright, are scaled until they cover a size, and are cut to the middle.

  The result is stored as PNG. The id of an example is its path within the folder. Every label is 0,
  which says nothing.

  Attributes, which `bind` sets:
    root: the folder.
    paths: its images.
    shape: (H, W, C) of the prepared images.
    bits: the bits that the values of images of 16 bits need (`image.bits_of`).
    identity: SHA-256 (hex) of the paths, the files and the shape.
  """

  VERSION = tfds.core.Version('1.0.0')

  root: Path
  paths: list[Path]
  shape: tuple[int, int, int]
  bits: int
  identity: str

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description=f'{self.root.name}, without labels',
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=self.shape),
          'label': tfds.features.ClassLabel(names=[_NO_CLASS]),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    del dl_manager  # Nothing to download.
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    """Yield the examples; raise UserError at the end, with all images that are none."""
    refused = []
    for path in self.paths:
      key = path.relative_to(self.root).as_posix()
      try:
        pixels, _ = image_lib.pixels(path, self.shape, self.bits)
      except ValueError as error:
        refused.append(f'{path} is {error}')
        continue
      image = Image.fromarray(pixels[..., 0] if self.shape[-1] == 1 else pixels)
      yield key, {'id': key, 'image': image, 'label': _NO_CLASS}
    if refused:
      raise image_lib.unusable(refused)


def bind(folder: Path, image_shape: tuple[int, int, int], bits: int = 0) -> type[UnlabelledFolder]:
  """Return the builder of one folder, under a name made of its images and their size.

  Args:
    folder: every image in it and in the folders below it is read, for the name.
    image_shape: (H, W, C) of the prepared images.
    bits: as those of the dataset that they stand beside; 0 to find them out here.

  Raises:
    UserError: there is no such folder, it has no images, or a file cannot be read.
  """
  if not os.path.isdir(folder):
    state = 'a file and no folder' if os.path.exists(folder) else 'not there'
    raise UserError(f'the folder {folder} is {state}; correct `unlabelled`')
  found, others = image_files.find(folder)
  if others:
    kinds = image_files.counted(others)
    logger.warning('%s: passed over what is no image by its suffix (%s)', folder, kinds)
  if not found:
    raise UserError(
      f'{folder} and the folders below it have no images ({", ".join(image_files.SUFFIXES)}); '
      'correct `unlabelled`'
    )
  # Where there are none, the name is that of values of 16 bits.
  depth = bits or image_lib.bits_of(found) or 16
  digest = hashlib.sha256(f'{image_shape} {depth}'.encode())
  for path in found:
    try:
      content = regular_file.sha256(path)
      digest.update(f'{path.relative_to(folder).as_posix()}\n{content}\n'.encode())
    except (OSError, UnicodeEncodeError) as error:
      raise UserError(
        f'{str(path)!a} cannot be read ({first_line(error)}); mend or remove it'
      ) from error

  class Bound(UnlabelledFolder, skip_registration=True):
    name = own_name('unlabelled', folder, digest.hexdigest())
    root = folder
    paths = found
    shape = image_shape
    bits = depth
    identity = digest.hexdigest()

  return Bound
