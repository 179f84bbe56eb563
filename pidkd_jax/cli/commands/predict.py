"""Print the likeliest classes of image files.

    pidkd predict --bundle runs/cifar100/bundles/pidkd-0 photo.png [more images]

An image is read as data of image_folder are: made RGB and upright. One of
another size is scaled to cover the bundle's size and cropped to the middle; the
output says so.
"""

import os
import pathlib

import numpy as np
from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import trained_network
from pidkd_jax.cli import bundle_flags
from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError, printable
from pidkd_jax.experiment import workdir

FLAGS = flags.FLAGS

# Pillow's name of an image by its channels.
_MODES = {1: 'L', 3: 'RGB'}


def define_flags():
  bundle_flags.define()
  flags.DEFINE_integer('top', 5, 'Number of classes to print for each image.', lower_bound=1)


def main(*names):
  if not names:
    raise UserError('no image was given; name one or several JPEG, PNG, BMP or WebP files')
  own = models.families(*FLAGS.own)
  student = trained_network.load(workdir.local('--bundle', FLAGS.bundle), own)
  height, width, channels = student.image_shape
  if channels not in _MODES:
    raise UserError(
      f'{FLAGS.bundle!r} is for images of {channels} channels, which no file is read as; use '
      'pidkd_jax.load from Python'
    )
  paths = [_path(name) for name in names]
  bits = image_lib.bits_of(paths)
  if bits < 16:
    print(f'the values of the 16-bit images need {bits} bits, and are taken to be of that depth')
  titles, images = [], []
  for name, path in zip(names, paths, strict=True):
    image = _read(name, path, bits)
    scaled = f', scaled and cut to {width}x{height}' if image.size != (width, height) else ''
    titles.append(f'{name} ({image.width}x{image.height}{scaled})')
    image = image_lib.cover(image, width, height).convert(_MODES[channels])
    images.append(np.asarray(image).reshape(student.image_shape))
  for title, best in zip(titles, student.top(np.stack(images), FLAGS.top), strict=True):
    print(printable(title))
    for label, probability in best:
      print(f'  {100 * probability:6.2f}%  {printable(label)}')


def _path(name):
  path = pathlib.Path(name)
  if not path.is_file():
    state = 'is a folder' if path.is_dir() else 'is not there'
    raise UserError(f'image {name!r} {state}; name a JPEG, PNG, BMP or WebP file')
  if not os.access(path, os.R_OK):
    raise UserError(f'image {name!r} may not be read; change its permissions')
  return path


def _read(name, path, bits):
  try:
    return image_lib.upright(path, bits)
  except ValueError as error:
    raise UserError(f'image {name!r} is {error}; name another') from error
