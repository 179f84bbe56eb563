"""Decode an image file, and bring an image to another size and other channels."""

import contextlib
import io
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from pidkd_jax.core.errors import UserError, first_line, listed


class File(Protocol):
  """A file on disk, or a part of one. Paths are files."""

  def open(self, mode: Literal['rb'], /) -> io.BufferedIOBase: ...
  def read_bytes(self) -> bytes: ...
  def __fspath__(self) -> str: ...
  def __lt__(self, other: Any, /) -> bool: ...


# Pixels; the side of the smallest images that the networks are tried on.
LEAST_SIDE = 8

# Pillow's mode by the number of channels.
_MODES = {1: 'L', 3: 'RGB'}

_FORMATS = ('JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'PPM')
# Their names, for messages.
FORMATS = 'JPEG, PNG, BMP, WebP, TIFF or PPM'
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# The starts of other files that may have values of 16 bits: TIFF, PGM and PPM.
_WIDE = (b'II', b'MM', b'P2', b'P3', b'P5', b'P6')
# No PNG file of the pixels that Pillow allows is longer, by 8 bytes for each of them.
_LONGEST_PNG = 2**30
# The chunks of a PNG file that say something of the image and change no pixel as it is read here.
_REMARKS = (b'iCCP', b'iTXt', b'sPLT', b'tEXt', b'zTXt')
# The bits that the values of an image of 16 bits may need, by the makers of cameras and scanners.
BITS = (8, 10, 12, 14, 16)


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
  try:
    with Image.open(io.BytesIO(encoded), formats=('JPEG', 'PNG')) as image:
      # The header has the size, so an image of another size is not decoded.
      check_form(image, shape)
      return np.asarray(image.convert(_MODES[shape[-1]])).reshape(shape)
  # Pillow raises SyntaxError for some damaged PNG files.
  except (OSError, SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError('not a whole JPEG or PNG file') from error


def check_form(image: Image.Image, shape: tuple[int, int, int]) -> None:
  """Check that an image of Pillow, encoded, is one that `decode` takes.

  Args:
    image: it may be undecoded still.
    shape: (H, W, C) that the image must have.

  Raises:
    ValueError: the image has another size or mode.
  """
  height, width, _ = shape
  if image.size != (width, height):
    raise ValueError(f'{image.width}x{image.height} pixels, not {width}x{height}')
  if image.mode not in _MODES.values():
    raise ValueError(f'of mode {image.mode}, not RGB or grayscale')


class _Unusable(ValueError):
  """An image that is whole, and that nobody can use."""


def pixels(
  source: File | Image.Image,
  shape: tuple[int, int, int],
  bits: int = 16,
  crop_ratio: float = 1.0,
) -> tuple[np.ndarray, str]:
  """Return an image of any origin as a network takes it, and what was done to it.

  It is made upright, scaled until it covers the size divided by the ratio, and cut to the middle
  (`upright`, `cover`).

  Args:
    source: a file, or an image of Pillow.
    shape: (H, W, C) of the result; C is 1 or 3.
    bits: as `upright` takes them.
    crop_ratio: the share of the scaled image's shorter side that is kept.

  Returns:
    uint8 [H, W, C], and a text such as '640x480, scaled and cut to 32x32'.

  Raises:
    ValueError: as `upright`.
  """
  height, width, channels = shape
  image = upright(source, bits)
  size = f'{image.width}x{image.height}'
  covered = (before_crop(width, crop_ratio), before_crop(height, crop_ratio))
  changed = image.size != (width, height) or covered != image.size
  scaled = f', scaled and cut to {width}x{height}' if changed else ''
  fitted = np.asarray(cover(image, *covered).convert(_MODES[channels]))
  rows, columns = middle(covered[1], height), middle(covered[0], width)
  return fitted.reshape(*covered[::-1], channels)[rows, columns], size + scaled


def upright(source: File | Image.Image, bits: int = 16) -> Image.Image:
  """Return an image of any origin as RGB, rotated as its EXIF orientation says.

  Gray becomes three equal channels. Transparency is dropped, as torchvision's ImageFolder does.
  Colour profiles and texts are dropped.

  Args:
    source: a JPEG, PNG, BMP, WebP, TIFF or PPM file, whose suffix does not matter; or an image of
      Pillow. Of several pages the first is taken.
    bits: the bits that the values need if the image has 16 bits (`bits_of`); 0 for all 16. The
      highest eight are kept.

  Raises:
    ValueError: the file is no such image; the message says in one line what it is. Or it has 16
      bits in colour, and its values need less. Or its values are no levels of 8 or 16 bits.
  """
  bits = bits or BITS[-1]
  with _opened(source) as image:
    turned = _turned(image)
    if turned.mode == 'F':
      raise _Unusable('of floating-point values; give 8 bits a channel')
    if turned.mode.startswith('I'):  # 16-bit gray, which Pillow would clip at 255.
      values = np.asarray(turned)
      if values.min() < 0 or values.max() >= 2**16:
        raise _Unusable(f'of values from {values.min()} to {values.max()}; give 8 or 16 bits')
      values = np.minimum(values >> (bits - 8), 255)
      turned = Image.fromarray(values.astype(np.uint8))
    elif bits < 16 and _has_16_bits(source):
      raise _Unusable(
        f'in colour with 16 bits, and its values need {bits}, so it would be dark or black; save it'
        ' with 8 bits a channel'
      )
    converted = turned.convert('RGB')
    # Pillow would write them into every file that is made of the image.
    converted.info.clear()
    return converted


def _turned(image: Image.Image) -> Image.Image:
  """Return an image as its EXIF orientation says; as it is where nobody can read its EXIF."""
  try:
    return ImageOps.exif_transpose(image)
  except Exception:  # As for damaged files, Pillow raises many types.
    return image


def unusable(refused: Sequence[str]) -> UserError:
  """Return the error for images that cannot be used.

  Args:
    refused: one text for each image, with its name and what it is.
  """
  many = f'{len(refused):,} images cannot be used: ' if len(refused) > 1 else ''
  it = 'them' if many else 'it'
  return UserError(f'{many}{listed(refused, separator="; ")}; mend or remove {it}')


def bits_of(sources: Iterable[File | Image.Image]) -> int:
  """Return how many bits the values of the 16-bit images among some need.

  Programs write 8-bit data as 16-bit files, and cameras of 10 to 14 bits do so too. Their high byte
  alone would be black. Images of one origin are judged together, as one of them may be dark.

  Args:
    sources: image files, or images of Pillow. Files that are no images are passed over.

  Returns:
    One of 8, 10, 12, 14 and 16; 0 where there are none.
  """
  needed = 0
  for source in sources:
    if needed == BITS[-1]:
      break
    with contextlib.suppress(OSError, ValueError):
      if _has_16_bits(source):
        with _opened(source) as image:
          gray = image.mode.startswith('I')
          # Opaque images have the highest alpha, and Pillow keeps the high byte of colours.
          values = np.asarray(image if gray else image.convert('RGB'))
          highest = int(values.max()) << (0 if gray else 8)
        needed = max(needed, next((bits for bits in BITS if highest < 2**bits), BITS[-1]))
  return needed


def _has_16_bits(source: File | Image.Image) -> bool:
  """Whether a file has 16 bits a channel: a PNG, TIFF, PGM or PPM file.

  Of the other formats Pillow reads 8 bits only. It scales a PPM's colours by the highest value that
  the file declares, so only 65535, the highest of all, may be too high for them.

  Raises:
    ValueError: as `_explain_errors`.
  """
  if isinstance(source, Image.Image):
    return source.mode.startswith('I')
  with source.open('rb') as file:
    start = file.read(25)
  if start.startswith(_WIDE):
    with _explain_errors(), _lazy(source) as image:  # Reads the header only.
      return image.mode.startswith('I') or _has_wide_colours(image)
  return start[:8] == _SIGNATURE and start[24:] == b'\x10'


def _has_wide_colours(image: ImageFile.ImageFile) -> bool:
  """Whether the header of a TIFF or PPM file, undecoded, tells of 16 bits."""
  if isinstance(image, TiffImagePlugin.TiffImageFile):
    return 16 in image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, ())
  # The decoder's arguments end with the highest value, where it is not 255.
  arguments = image.tile[0][-1] if image.format == 'PPM' else ()
  return isinstance(arguments, tuple) and arguments[-1:] == (2**16 - 1,)


@contextlib.contextmanager
def _opened(source: File | Image.Image) -> Iterator[Image.Image]:
  """Decode an image file, or an image of Pillow that may still be undecoded.

  Raises:
    ValueError: as `_explain_errors`, also where the body of the `with` meets that.
  """
  with _explain_errors():
    if isinstance(source, Image.Image):
      source.load()
      yield source
      return
    with _decoded(source) as image:
      yield image


@contextlib.contextmanager
def _explain_errors() -> Iterator[None]:
  """Turn an exception or a warning of Pillow's within the context into one line.

  Raises:
    ValueError: the file is no image, is not whole, or has too many pixels.
  """
  try:
    with warnings.catch_warnings():
      # Pillow warns of odd metadata. Of too many pixels it warns first, and refuses twice as many.
      warnings.simplefilter('ignore')
      warnings.simplefilter('error', Image.DecompressionBombWarning)
      yield
  except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
    raise ValueError(
      f'an image of more than the {Image.MAX_IMAGE_PIXELS:,} pixels that Pillow allows'
    ) from error
  except _Unusable:
    raise
  # Pillow's decoders raise many types for a damaged file: OSError, SyntaxError, struct.error...
  except Exception as error:
    unknown = isinstance(error, UnidentifiedImageError)  # Its text has only the path.
    reason = '' if unknown else f' ({first_line(error)})'
    raise ValueError(f'not a whole {FORMATS} file{reason}') from error


def _lazy(file: File) -> ImageFile.ImageFile:
  """Open an image of which no pixels are decoded yet."""
  source = file if isinstance(file, Path) else io.BytesIO(file.read_bytes())
  return Image.open(source, formats=_FORMATS)


def _decoded(path: File) -> Image.Image:
  try:
    with contextlib.ExitStack() as damaged:
      image = damaged.enter_context(_lazy(path))
      image.load()
      damaged.pop_all()
  except (ValueError, SyntaxError, OSError) as error:
    # Pillow refuses a sound PNG for a large or odd colour profile or text.
    encoded = _png(path)
    plain = _without_remarks(encoded)
    if plain == encoded:
      raise error
    image = Image.open(io.BytesIO(plain), formats=_FORMATS)
    image.load()
  return image


def _png(file: File) -> bytes:
  """Return what a PNG file holds, up to its greatest length; of another file its start.

  A file may be larger than the memory, and be nothing but a hole.
  """
  with file.open('rb') as opened:
    start = opened.read(len(_SIGNATURE))
    return start + opened.read(_LONGEST_PNG) if start == _SIGNATURE else start


def _without_remarks(encoded: bytes) -> bytes:
  """Return a PNG file without the chunks of `_REMARKS`; another file as it is."""
  if not encoded.startswith(_SIGNATURE):
    return encoded
  # A chunk is its length (4 bytes), its name (4), so many bytes, and a checksum (4).
  parts, position = [_SIGNATURE], len(_SIGNATURE)
  while position < len(encoded):
    end = position + 12 + int.from_bytes(encoded[position : position + 4])
    if encoded[position + 4 : position + 8] not in _REMARKS:
      parts.append(encoded[position:end])
    position = end
  return b''.join(parts)


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
  """Scale an image, antialiased, until it covers a size, and crop the middle.

  Both are one step, so only the part of a very long image that is kept is ever scaled.
  """
  return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
  """Scale and cut decoded pixels, uint8 [H, W, C], to a square (`cover`); uint8 [side, side, C]."""
  channels = pixels.shape[-1]
  image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
  return np.asarray(cover(image, side, side)).reshape(side, side, channels)


def before_crop(side: int, crop_ratio: float) -> int:
  """Return the side in pixels to which an image is scaled before its middle is cut out.

  This is the rule of timm's `crop_pct`.

  Args:
    side: of the middle, in pixels.
    crop_ratio: the share of the scaled side that the middle takes, above 0 and at most 1.

  Example:
    >>> before_crop(224, 0.875), before_crop(224, 1.0)
    (256, 224)
  """
  return math.floor(side / crop_ratio)


def middle(length: int, side: int) -> slice:
  """Return the pixels of the middle along an axis, placed as torchvision's CenterCrop places them.

  Args:
    length: of the axis, in pixels.
    side: of the middle, in pixels; at most `length`.

  Example:
    >>> middle(256, 224)
    slice(16, 240, None)
  """
  start = round((length - side) / 2)
  return slice(start, start + side)
