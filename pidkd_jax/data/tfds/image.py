"""Decode an image file, and bring an image to another size."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Pillow's mode by the number of channels.
_MODES = {1: 'L', 3: 'RGB'}


def decode(encoded: bytes, shape: tuple[int, int, int]) -> np.ndarray:
  """Decode a PNG or JPEG file. Gray becomes three equal channels where C is 3.

  Pillow always decodes. OpenCV and TensorFlow decode the same JPEG to other pixels (0.95 levels
  apart on average), and results must not depend on which of them is installed.

  Args:
    encoded: the file's bytes.
    shape: (H, W, C) that the image must have; C is 1 or 3.

  Returns:
    uint8 [H, W, C].

  Raises:
    ValueError: the bytes are no image or a damaged one, or the image has another size or mode.
  """
  height, width, channels = shape
  try:
    with Image.open(io.BytesIO(encoded), formats=('JPEG', 'PNG')) as image:
      # The header has the size, so an image of another size is not decoded.
      if image.size != (width, height):
        raise ValueError(f'{image.width}x{image.height} pixels, not {width}x{height}')
      if image.mode not in _MODES.values():
        raise ValueError(f'of mode {image.mode}, not RGB or grayscale')
      return np.asarray(image.convert(_MODES[channels])).reshape(shape)
  # Pillow raises SyntaxError for some damaged PNG files.
  except (OSError, SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError('not a whole JPEG or PNG file') from error


def upright(path: Path) -> Image.Image:
  """Open an image file of any origin as RGB, rotated as its EXIF orientation says.

  Gray becomes three equal channels. Transparency is dropped, as torchvision's ImageFolder does. Of
  16 bits the high byte is kept.

  Args:
    path: a JPEG, PNG, BMP or WebP file; its suffix does not matter.

  Raises:
    ValueError: the file is no such image; the message says in one line what it is.
  """
  try:
    with warnings.catch_warnings():
      # Pillow warns of odd metadata. Of too many pixels it warns first, and refuses twice as many.
      warnings.simplefilter('ignore')
      warnings.simplefilter('error', Image.DecompressionBombWarning)
      with Image.open(path, formats=('JPEG', 'PNG', 'BMP', 'WEBP')) as image:
        turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith('I'):  # 16-bit gray, which Pillow would clip at 255.
          turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
        return turned.convert('RGB')
  except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
    raise ValueError(
      f'an image of more than the {Image.MAX_IMAGE_PIXELS:,} pixels that Pillow allows'
    ) from error
  # Pillow's decoders raise many types for a damaged file: OSError, SyntaxError, struct.error...
  except Exception as error:
    raise ValueError('not a whole JPEG, PNG, BMP or WebP file') from error


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
  """Scale an image, antialiased, until it covers a size, and crop the middle.

  Both are one step, so only the part of a very long image that is kept is ever scaled.
  """
  return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
