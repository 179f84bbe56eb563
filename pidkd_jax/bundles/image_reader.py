"""Images as users have them, files and images of Pillow, in batches that a network takes."""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError

logger = logging.getLogger(__name__)

# An image file, or an image of Pillow.
Source = str | os.PathLike | Image.Image


@dataclasses.dataclass(frozen=True)
class Batch:
  """Some of the images, in their order.

  Attributes:
    pixels: uint8 [N, H, W, C] of those that can be used.
    names: of these, N.
    notes: for each of these its size, and how it came to the network's.
    refused: for each image that cannot be used, its name and the reason.
  """

  pixels: np.ndarray
  names: Sequence[str]
  notes: Sequence[str]
  refused: Sequence[str]


class ImageReader:
  """Reads images by the rule that folders of images are prepared by for training.

  An image is made upright, scaled until it covers the network's size divided by the crop ratio, and
  cut to the middle. Gray and colour become each other. Only a batch is in memory at a time.

  Attributes:
    bits: that the values of images of 16 bits need (`core.image.bits_of`); 0 if there are none.
  """

  def __init__(
    self,
    sources: Sequence[Source],
    shape: tuple[int, int, int],
    crop_ratio: float = 1.0,
    bits: int = 0,
  ):
    """Look at the images, without decoding those of 8 bits.

    Args:
      sources: the images.
      shape: (H, W, C) that the network takes.
      crop_ratio: the share of an image's shorter side that the network sees.
      bits: as those of the images that the network was trained on; 0 to find them out here.

    Raises:
      UserError: the network takes images that no file has.
    """
    if shape[-1] not in (1, 3):
      raise UserError(
        f'the network is for images of {shape[-1]} channels, which no file is read as; give arrays '
        'to predict, in Python'
      )
    # A file may be called '~1.png'. Where that is no user, the name stays as it is.
    self._sources = [
      one if isinstance(one, Image.Image) else pathlib.Path(os.path.expanduser(one))
      for one in sources
    ]
    self._shape, self._crop_ratio = shape, crop_ratio
    self.bits = bits or image_lib.bits_of(
      one for one in self._sources if isinstance(one, Image.Image) or os.path.isfile(one)
    )
    if not bits and 0 < self.bits < 16:
      logger.warning(
        'the values of the 16-bit images need %d bits; they are taken as of that depth', self.bits
      )

  def __len__(self) -> int:
    return len(self._sources)

  @property
  def shape(self) -> tuple[int, int, int]:
    """(H, W, C) of the images as they are read."""
    return self._shape

  def batches(self, size: int) -> Iterator[Batch]:
    """Yield the images, at most so many at a time."""
    for start in range(0, len(self), size):
      pixels, names, notes, refused = [], [], [], []
      for number, source in enumerate(self._sources[start : start + size], start=start):
        name = f'image {number}' if isinstance(source, Image.Image) else str(source)
        try:
          image, note = self._read(source)
        except ValueError as error:
          refused.append(f'{name} is {error}')
          continue
        pixels.append(image)
        names.append(name)
        notes.append(note)
      stacked = np.stack(pixels) if pixels else np.empty((0, *self._shape), np.uint8)
      yield Batch(stacked, names, notes, refused)

  def _read(self, source: pathlib.Path | Image.Image) -> tuple[np.ndarray, str]:
    if not isinstance(source, Image.Image):
      # Paths of pathlib raise where a name is too long, or a folder may not be entered.
      if not os.path.exists(source):
        raise ValueError('not there')
      if not os.path.isfile(source):
        raise ValueError('a folder' if os.path.isdir(source) else 'no regular file')
      if not os.access(source, os.R_OK):
        raise ValueError('a file that you may not read')
    return image_lib.pixels(source, self._shape, self.bits, self._crop_ratio)
