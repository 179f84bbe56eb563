"""What a caller gives as images: arrays, or files and images of Pillow, of one or many."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pidkd_jax.bundles.image_reader import Source
from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.core.value import array


def take(images: Any, shape: tuple[int, int, int]) -> tuple[list[Source] | np.ndarray, bool]:
  """Return images in one of two forms, and whether the caller gave one alone.

  Args:
    images: an array [N, H, W, C] or [H, W, C], whose C may be missing where it is 1; or the name of
      an image file, its path, or an image of Pillow; or several of one of these.
    shape: (H, W, C) that the network takes.

  Returns:
    Files and images of Pillow, as a list. Or arrays [N, H, W, C] as one, uint8 or float32.

  Raises:
    UserError: nobody can mean these images: arrays of another shape or type, or with pixels out of
      range; or several kinds in one list.

  Example:
    >>> take('photo.png', (32, 32, 3)), take(['a.png', 'b.png'], (32, 32, 3))
    ((['photo.png'], True), (['a.png', 'b.png'], False))
  """
  if isinstance(images, Source):
    return [images], True
  if not hasattr(images, '__array__') and isinstance(images, Iterable):
    images = list(images)
  sources = _sources(images)
  if sources or (isinstance(images, list) and not images):
    return sources, False
  array = _checked(_array(images, shape), shape)
  return (array[None], True) if array.ndim == 3 else (array, False)


def _sources(images: Any) -> list[Source]:
  """Return the files and images of Pillow in a list of them, or nothing."""
  if getattr(images, 'ndim', 0) == 1:  # An array or a column of names.
    images = np.asarray(images).tolist()
  if not isinstance(images, list):
    return []
  chosen = [one for one in images if isinstance(one, Source)]
  if chosen and len(chosen) < len(images):
    other = next(one for one in images if not isinstance(one, Source))
    raise UserError(
      f'the images are of several kinds, {type(chosen[0]).__name__} and {type(other).__name__}; '
      'give either arrays, or files and images of Pillow'
    )
  return chosen


def _array(images: Any, shape: Sequence[int]) -> np.ndarray:
  """Return arrays as one, gray ones with an axis for their channel."""
  try:
    found = array(images)
  except (ValueError, TypeError, RuntimeError) as error:
    raise UserError(
      f'the images make no array ({first_line(error)}); give arrays of one shape, or files'
    ) from error
  if found.dtype == object:
    raise UserError(
      f'a {type(images).__name__} is no image; give arrays, names of files, or images of Pillow'
    )
  bare = shape[-1] == 1 and found.ndim in (2, 3) and found.shape[-2:] == tuple(shape[:2])
  return found[..., None] if bare else found


def _checked(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
  """Return the images as uint8 or float32; raise UserError for images that nobody can mean."""
  size = ', '.join(map(str, shape))
  if images.ndim not in (3, 4) or images.shape[-3:] != shape:
    raise UserError(
      f'the images are {list(images.shape)}; [N, {size}] is needed, or [{size}] for one (image '
      'files and images of Pillow may have any size)'
    )
  if images.dtype == np.uint8:
    return images
  if not np.issubdtype(images.dtype, np.floating):
    raise UserError(
      f'the images are {images.dtype}; make them uint8 of 0 to 255, or floats of 0 to 1'
    )
  low, high = images.min(initial=0), images.max(initial=1)
  if not (low >= 0 and high <= 1):  # NaN fails both.
    raise UserError(
      f'the pixels are {images.dtype} of {low:g} to {high:g}; floats must lie within 0 and 1 '
      '(divide those of 0 to 255), and normalisation is done here'
    )
  return images.astype(np.float32)
