"""A dataset from arrays in memory."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from pidkd_jax.core.errors import UserError, first_line, listed, whole_number
from pidkd_jax.core.image import LEAST_SIDE, before_crop
from pidkd_jax.core.normalisation import Normalisation, checked
from pidkd_jax.core.types import DatasetSpec
from pidkd_jax.core.value import array, plain
from pidkd_jax.data import equal_images, sizes
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline import statistics
from pidkd_jax.data.pipeline.resident_split import ResidentSplit

logger = logging.getLogger(__name__)

_LAYOUT = '[N, H, W, C], or [N, H, W] for gray images'

# Rows of images in a line on the screen.
_NAMED = 5

Arrays = tuple[ArrayLike | Sequence, ArrayLike | Sequence]


def from_arrays(
  train: Arrays,
  test: Arrays | None = None,
  *,
  class_names: Sequence[str] | None = None,
  test_fraction: float = 0.2,
  seed: int = 0,
  normalisation: Normalisation | None = None,
  image_size: int = 0,
  teacher_size: int = 0,
  padding: int | None = None,
  flip: bool = True,
  name: str = 'arrays',
) -> Dataset:
  """Make a dataset of images and labels in memory.

  A split is a pair (images, labels) of numpy arrays, JAX arrays, PyTorch tensors or lists. Images
  have shape [N, H, W, C], or [N, H, W] for C = 1, and a side of at least 8 pixels. They hold
  integers from 0 to 255, or floats in [0, 1], which are rounded to 256 levels. Labels are integers
  [N] from 0 to K - 1. The training split has images of every class.

  uint8 images are not copied, so do not alter them afterwards. Test images that are training images
  too, pixel by pixel, are counted in the log.

  Args:
    train: the images and labels to train on.
    test: those to test on; None to hold out a part of `train`.
    class_names: K names, in the order of the labels; None for '0' to 'K - 1'.
    test_fraction: the share of each class that is held out where `test` is None
      (`Dataset.hold_out`).
    seed: determines which images are held out.
    normalisation: per-channel statistics of pixels scaled to [0, 1]; None to compute them from the
      training images.
    image_size: the side of the squares that networks see of larger square images. Training takes a
      random part of each image, and evaluation the middle. 0 for whole images.
    teacher_size: the side of what the teacher sees, where it is larger than `image_size`. It takes
      the place of `image_size` above, and students see the same crops, resampled.
    padding: pixels of zero padding for the random crop in training; None for an eighth of the
      shorter side.
    flip: whether training mirrors images at random. Turn it off for digits and letters.
    name: the dataset's name in tables and bundles.

  Returns:
    Both splits and their description.

  Raises:
    UserError: in one line, if images, labels or another argument have another shape, type or
      range, or if a class has too few images.

  Example:
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), np.uint8)
    >>> data = from_arrays((images, np.arange(50) % 5), class_names=['a', 'b', 'c', 'd', 'e'])
    >>> len(data.train), len(data.test), data.spec.padding
    (40, 10, 2)
    >>> data.test.images[:8].shape
    (8, 16, 16, 3)
  """
  train_split = _split('train', train)
  shape = train_split.image_shape
  if normalisation is not None:
    normalisation = checked('normalisation', normalisation, shape[2])
  sides = {'image_size': image_size, 'teacher_size': teacher_size, 'padding': padding or 0}
  for side, value in sides.items():
    whole_number(side, value, least=0)
  name, flip = plain('', 'name', name), plain(True, 'flip', flip)
  test_fraction, seed = plain(0.0, 'test_fraction', test_fraction), plain(0, 'seed', seed)
  whole_number('seed', seed, least=0)
  spec = DatasetSpec(
    name=name,
    format='',
    archive='',
    source='arrays in memory',
    class_names=_class_names(train_split.labels, class_names),
    labels=train_split.labels,
    image_shape=shape,
    # The statistics follow, because a hold-out changes them.
    normalisation=normalisation or Normalisation((), ()),
    fingerprint='',
    padding=(teacher_size or image_size or min(shape[:2])) // 8 if padding is None else padding,
    flip=flip,
  )
  spec = dataclasses.replace(spec, **_sizes(shape, image_size, teacher_size))
  if test is None:
    dataset, test_split = Dataset(spec, train_split, train_split).hold_out(test_fraction, seed)
    spec, train_split = dataset.spec, cast(ResidentSplit, dataset.train)
  else:
    test_split = _split('test', test)
    _check_test(test_split, spec)
  _warn_of_training_images(train_split.images, cast(ResidentSplit, test_split).images)
  if normalisation is None:
    normalisation = statistics.normalisation(statistics.histogram(train_split.images))
  train_split, test_split, fingerprint = sizes.seen(
    train_split,
    test_split,
    statistics.fingerprint(train_split, cast(ResidentSplit, test_split)),
    side=(teacher_size or image_size) if spec.crop_ratio < 1 else 0,
    size=image_size if teacher_size else 0,
  )
  spec = dataclasses.replace(
    spec,
    normalisation=normalisation,
    fingerprint=fingerprint,
    image_shape=train_split.image_shape,
  )
  return Dataset(spec, train_split, test_split)


def _sizes(shape: tuple[int, int, int], image_size: int, teacher_size: int) -> dict[str, Any]:
  """Return the fields of a spec that say what networks see of images of a shape."""
  if not image_size and not teacher_size:
    return {}
  sizes.check(image_size, teacher_size)
  height, width, _ = shape
  side = teacher_size or image_size
  if height != width or not LEAST_SIDE <= image_size or side > height:
    raise UserError(
      f'networks are to see {side}x{side} pixels of images of {_size(shape)}; square images of at'
      f' least that size are needed, and a size of at least {LEAST_SIDE}'
    )
  ratio = side / height
  if before_crop(side, ratio) != height:  # A last bit too much.
    ratio = math.nextafter(ratio, 0)
  return {'image_size': image_size, 'crop_ratio': ratio, 'teacher_size': teacher_size}


def _split(name: str, arrays: Arrays) -> ResidentSplit:
  """Return a split of checked arrays.

  Args:
    name: 'train' or 'test', for messages.
    arrays: the images and the labels.
  """
  if not isinstance(arrays, tuple | list) or len(arrays) != 2:
    raise UserError(f'{name} must be a pair (images, labels)')
  images = _pixels(name, _array(f'{name} images', arrays[0]))
  labels = _array(f'{name} labels', arrays[1])
  if labels.dtype.kind not in 'iu' or labels.ndim != 1:
    raise UserError(
      f'{name} labels are {labels.dtype}{list(labels.shape)}; integers [N] are needed, one an image'
    )
  if len(images) != len(labels):
    raise UserError(f'{name} has {len(images)} images and {len(labels)} labels')
  if labels.min() < 0:
    raise UserError(f'a {name} label is {labels.min()}; labels start from 0')
  if labels.max() > np.iinfo(np.int32).max:
    raise UserError(f'a {name} label is {labels.max()}; labels go from 0 to the classes minus 1')
  return ResidentSplit(images, labels.astype(np.int32))


def _array(name: str, values: ArrayLike | Sequence) -> np.ndarray:
  try:
    return array(values)
  except (TypeError, ValueError, RuntimeError) as error:  # Such as lists of different lengths.
    raise UserError(
      f'{name} are no array ({first_line(error)}); all elements must be numbers and have one shape'
    ) from error


def _pixels(name: str, images: np.ndarray) -> np.ndarray:
  """Return checked images as uint8 [N, H, W, C]."""
  if images.ndim not in (3, 4):
    raise UserError(f'{name} images have the shape {list(images.shape)}; {_LAYOUT} is needed')
  if not images.size:
    raise UserError(f'{name} images are empty: their shape is {list(images.shape)}')
  if images.ndim == 3:
    images = images[..., None]
  if min(images.shape[1:3]) < LEAST_SIDE:
    raise UserError(
      f'{name} images are {_size(images.shape[1:])} in the layout {_LAYOUT}; at least'
      f' {LEAST_SIDE}x{LEAST_SIDE} pixels are needed'
    )
  if images.dtype == np.uint8:
    return images
  if images.dtype.kind in 'iu':
    _check_range(name, images, 255, 'integers')
    return images.astype(np.uint8)
  if not jnp.issubdtype(images.dtype, jnp.floating):
    raise UserError(f'{name} images are {images.dtype}; uint8 or floats in [0, 1] are needed')
  images = images.astype(np.float32)
  _check_range(name, images, 1, 'floats')
  logger.info('%s images are rounded from floats in [0, 1] to the 256 levels of uint8', name)
  return np.rint(images * 255).astype(np.uint8)


def _check_range(name: str, images: np.ndarray, highest: int, kind: str) -> None:
  low, high = images.min(), images.max()
  if not (low >= 0 and high <= highest):  # NaN fails as well.
    raise UserError(
      f'{name} images hold values from {low:g} to {high:g}; {kind} must lie in [0, {highest}]'
    )


def _class_names(labels: np.ndarray, names: Sequence[str] | None) -> tuple[str, ...]:
  """Return the K class names, after checking that the training labels are 0 to K - 1."""
  if isinstance(names, Mapping | Set) or not (names is None or np.iterable(names)):
    raise UserError(f"class_names is {names!r}; a list of names is needed, in the labels' order")
  names = None if names is None else [*map(str, names)]
  highest = int(labels.max())
  present = np.unique(labels)
  count = highest + 1 if names is None else len(names)
  if names is not None and len(set(names)) < count:
    raise UserError('class_names has a name twice')
  if highest >= count:
    raise UserError(f'a train label is {highest}; class_names has names for 0 to {count - 1}')
  if len(present) < count:
    missing = np.setdiff1d(np.arange(len(present) + 1), present)[0]
    raise UserError(
      f'no training image has the label {missing}; each of the {count} classes needs one'
    )
  if count < 2:
    raise UserError('the training images have 1 class; at least 2 are needed')
  return tuple(map(str, range(count)) if names is None else names)


def _check_test(split: ResidentSplit, spec: DatasetSpec) -> None:
  """Raise UserError for a test split of other images or classes than the training split."""
  if split.image_shape != spec.image_shape:
    raise UserError(
      f'test images are {_size(split.image_shape)}; the training images are'
      f' {_size(spec.image_shape)}'
    )
  if (highest := split.labels.max()) >= spec.num_classes:
    raise UserError(f'a test label is {highest}; the training split has {spec.num_classes} classes')


def _warn_of_training_images(train: np.ndarray, test: np.ndarray) -> None:
  if same := equal_images.rows(test, train):
    logger.warning(
      '%d of the %d test images are training images, pixel by pixel (rows %s of the test split);'
      ' networks that train on them look better than they are, so remove one of each',
      len(same),
      len(test),
      listed(same, _NAMED),
    )


def _size(shape: tuple[int, ...]) -> str:
  """Return a shape (H, W, C) as text."""
  height, width, channels = shape
  return f'{height}x{width}x{channels}'
