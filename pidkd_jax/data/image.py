"""Decodes an image file that is held in memory."""

import io

import numpy as np
from PIL import Image

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
