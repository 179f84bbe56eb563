"""Decodes an image file, and brings an image to another size."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

_MODES = {1: 'L', 3: 'RGB'}  # By the channels that are asked for.


def decode(encoded: bytes, shape: tuple[int, int, int]) -> np.ndarray:
  """The pixels of a PNG or JPEG file; a grayscale one gives equal channels where three are asked.

  Always by Pillow: OpenCV and TensorFlow decode the same JPEG to other pixels (0.95 levels apart
  on average), so a result must not depend on which of them happens to be installed.

  Args:
    encoded: the file's bytes.
    shape: (H, W, C) that the image must have, C 1 or 3.

  Returns:
    uint8 [H, W, C].

  Raises:
    ValueError: if the bytes are no image, a damaged one, or one of another size or kind.
  """
  height, width, channels = shape
  try:
    with Image.open(io.BytesIO(encoded), formats=('JPEG', 'PNG')) as image:
      # The header says the size: an image of another one is not decoded at all.
      if image.size != (width, height):
        raise ValueError(f'{image.width}x{image.height} pixels, not {width}x{height}')
      if image.mode not in _MODES.values():
        raise ValueError(f'of mode {image.mode}, not RGB or grayscale')
      return np.asarray(image.convert(_MODES[channels])).reshape(shape)
  # Pillow raises SyntaxError for some damaged PNG files.
  except (OSError, SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError('not a whole JPEG or PNG file') from error


def upright(path: Path) -> Image.Image:
  """The picture in a file of any origin: RGB, turned as its EXIF orientation says.

  Gray becomes three equal channels. Transparency is dropped, as by torchvision's ImageFolder. Of
  16 bits the high byte is kept.

  Args:
    path: a JPEG, PNG, BMP or WebP file, whatever its suffix.

  Raises:
    ValueError: what the file is instead, in one line.
  """
  try:
    with warnings.catch_warnings():
      # Of odd metadata Pillow warns; of many pixels it does so before it refuses.
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
  # Its decoders raise whatever a broken file brings them to: OSError, SyntaxError, struct.error...
  except Exception as error:
    raise ValueError('not a whole JPEG, PNG, BMP or WebP file') from error


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
  """Scales an image, antialiased, until it covers a size, and keeps the middle that has it.

  In one step, so that of an image that is very long only what is kept is ever scaled.
  """
  return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
