"""Says what a bundle sees in image files: the likeliest classes of each, with probabilities.

python scripts/predict.py --bundle runs/cifar100/bundles/pidkd-0 image.png [more images]

A file is read as the images of a folder are for training (data.image_folder): made RGB and upright,
and, where it has another size than the bundle's images, scaled until it covers that size, of which
the middle is kept; the output says so.
"""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import os
import pathlib

import numpy as np
from absl import flags

from pidkd_jax import models
from pidkd_jax.bundles import predictor
from pidkd_jax.data.tfds import image as image_lib
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import workdir

_BUNDLE = flags.DEFINE_string('bundle', '', 'Folder of the bundle.')
_TOP = flags.DEFINE_integer('top', 5, 'Classes that are said of each image.', lower_bound=1)
_OWN = flags.DEFINE_multi_string(
  'own', [], 'A network of your own in the bundle, as package.module:Class; repeatable.'
)

# Pillow's name of an image by its channels.
_MODES = {1: 'L', 3: 'RGB'}


def main(*names):
  if not names:
    raise UserError('no image was given; name one or several JPEG, PNG, BMP or WebP files')
  own = models.families(*_OWN.value)
  student = predictor.load(workdir.local('--bundle', _BUNDLE.value), own)
  height, width, channels = student.image_shape
  if channels not in _MODES:
    raise UserError(
      f'{_BUNDLE.value!r} is for images of {channels} channels, which no file is read as; use '
      'pidkd_jax.load from Python'
    )
  titles, images = [], []
  for name in names:
    image = _read(name)
    scaled = f', scaled and cut to {width}x{height}' if image.size != (width, height) else ''
    titles.append(f'{name} ({image.width}x{image.height}{scaled})')
    image = image_lib.cover(image, width, height).convert(_MODES[channels])
    images.append(np.asarray(image).reshape(student.image_shape))
  for title, best in zip(titles, student.top(np.stack(images), _TOP.value), strict=True):
    print(title)
    for label, probability in best:
      print(f'  {100 * probability:6.2f}%  {label}')


def _read(name):
  path = pathlib.Path(name)
  if not path.is_file():
    state = 'is a folder' if path.is_dir() else 'is not there'
    raise UserError(f'image {name!r} {state}; name a JPEG, PNG, BMP or WebP file')
  if not os.access(path, os.R_OK):
    raise UserError(f'image {name!r} may not be read; change its permissions')
  try:
    return image_lib.upright(path)
  except ValueError as error:
    raise UserError(f'image {name!r} is {error}; name another') from error


if __name__ == '__main__':
  app.run(main, operands=True)
