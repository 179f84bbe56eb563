"""Images from files of any kind, and their scaling to another size."""

import os
import pathlib
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from pidkd_jax.core import image as image_lib

RED = (200, 10, 30)


def filled(mode, colour, size=(9, 8)):
  return Image.new(mode, size, colour)


def palette():
  image = filled('P', 5)
  image.putpalette([0, 0, 0] * 5 + list(RED))
  return image


def sixteen_bit(value):
  return Image.fromarray(np.full((8, 9), value, np.uint16))


@pytest.mark.parametrize(
  'image, colour',
  [
    (filled('RGB', RED), RED),
    (filled('L', 77), (77, 77, 77)),
    (filled('1', 1), (255, 255, 255)),
    (palette(), RED),
    (filled('RGBA', (*RED, 0)), RED),
    (filled('LA', (77, 3)), (77, 77, 77)),
    # 0x4D12 is 77 * 256 + 18.
    (sixteen_bit(0x4D12), (77, 77, 77)),
  ],
  ids=lambda value: getattr(value, 'mode', None),
)
def test_every_mode_becomes_rgb(tmp_path, image, colour):
  image.save(tmp_path / 'x.png')
  result = image_lib.upright(tmp_path / 'x.png')
  assert result.mode == 'RGB' and result.size == (9, 8)
  np.testing.assert_array_equal(np.asarray(result), np.full((8, 9, 3), colour, np.uint8))


@pytest.mark.parametrize(
  'highest, bits', [(255, 8), (256, 10), (4095, 12), (8000, 14), (16384, 16)]
)
def test_the_values_of_16_bit_images_say_their_depth(tmp_path, highest, bits):
  ramp = np.linspace(0, highest, 72).reshape(8, 9).astype(np.uint16)
  Image.fromarray(ramp).save(tmp_path / 'bright.png')
  sixteen_bit(40).save(tmp_path / 'dark.png')
  (tmp_path / 'none.png').write_bytes(b'')
  filled('RGB', RED).save(tmp_path / 'colour.png')
  # Together: the dark image is dark.
  paths = sorted(tmp_path.iterdir())
  assert image_lib.bits_of(paths) == bits
  bright, dark = (image_lib.upright(tmp_path / f'{name}.png', bits) for name in ('bright', 'dark'))
  np.testing.assert_array_equal(np.asarray(bright)[..., 0], ramp // 2 ** (bits - 8))
  assert np.asarray(dark).max() == 40 // 2 ** (bits - 8)


def test_images_of_8_bits_are_not_looked_at(tmp_path):
  filled('L', 7).save(tmp_path / 'x.png')
  filled('L', 7).save(tmp_path / 'x.bmp')
  assert image_lib.bits_of(tmp_path.iterdir()) == 0


def wide_png(path, colour_type, pixel):
  """Write 9x8 pixels of 16 bits; Pillow cannot."""
  row = b'\0' + struct.pack(f'>{len(pixel)}H', *pixel) * 9
  header = struct.pack('>IIBBBBB', 9, 8, 16, colour_type, 0, 0, 0)
  path.write_bytes(
    png(chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(row * 8)), chunk(b'IEND', b''))
  )


def png(*chunks):
  return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def chunk(name, content):
  crc = struct.pack('>I', zlib.crc32(name + content))
  return struct.pack('>I', len(content)) + name + content + crc


def test_colours_of_16_bits_that_would_be_black_are_refused(tmp_path):
  wide_png(tmp_path / 'x.png', 2, (200,) * 3)
  assert image_lib.bits_of([tmp_path / 'x.png']) == 8
  with pytest.raises(ValueError, match='with 16 bits, and its values need 8, so it .* black; save'):
    image_lib.upright(tmp_path / 'x.png', 8)
  wide_png(tmp_path / 'x.png', 2, (200 * 256,) * 3)
  assert image_lib.bits_of([tmp_path / 'x.png']) == 16
  assert image_lib.upright(tmp_path / 'x.png').getpixel((0, 0)) == (200, 200, 200)


def test_the_alpha_of_16_bits_says_no_depth(tmp_path):
  """An opaque image has the highest alpha, however dark it is."""
  for colour_type, pixel in (6, (200, 200, 200, 65535)), (4, (200, 65535)):
    wide_png(tmp_path / 'x.png', colour_type, pixel)
    assert image_lib.bits_of([tmp_path / 'x.png']) == 8
    with pytest.raises(ValueError, match='in colour with 16 bits, and its values need 8'):
      image_lib.upright(tmp_path / 'x.png', 8)


def wide_tiff(path, pixel):
  """Write 9x8 pixels of 16 bits and three channels; Pillow cannot."""
  content = struct.pack('<3H', *pixel) * 72
  tags = {256: 9, 257: 8, 259: 1, 262: 2, 273: 14, 277: 3, 278: 8, 279: len(content)}
  entries = {tag: struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags.items()}
  entries[258] = struct.pack('<HHII', 258, 3, 3, 8)  # At byte 8 there are the bits of a channel.
  table = b''.join(entries[tag] for tag in sorted(entries))
  start = struct.pack('<2sHI3H', b'II', 42, 14 + len(content), 16, 16, 16)
  path.write_bytes(start + content + struct.pack('<H', len(entries)) + table + bytes(4))


def wide_ppm(path, pixel):
  path.write_bytes(b'P6 9 8 65535\n' + struct.pack('>3H', *pixel) * 72)


def plain_ppm(path, pixel):
  path.write_text('P3 9 8 65535\n' + '{} {} {}\n'.format(*pixel) * 72)


@pytest.mark.parametrize('write', [wide_tiff, wide_ppm, plain_ppm])
def test_colours_of_16_bits_are_seen_in_other_formats(tmp_path, write):
  write(tmp_path / 'x', (100, 100, 100))
  assert image_lib.bits_of([tmp_path / 'x']) == 8
  with pytest.raises(ValueError, match='in colour with 16 bits, and its values need 8'):
    image_lib.upright(tmp_path / 'x', 8)
  write(tmp_path / 'x', (200 * 257, 10 * 257, 30 * 257))
  assert image_lib.bits_of([tmp_path / 'x']) == 16
  assert image_lib.upright(tmp_path / 'x').getpixel((0, 0)) == RED


def test_colours_are_scaled_by_the_highest_value_that_a_ppm_declares(tmp_path):
  (tmp_path / 'x.ppm').write_bytes(b'P6 9 8 1020\n' + struct.pack('>3H', 800, 40, 120) * 72)
  assert image_lib.upright(tmp_path / 'x.ppm', 8).getpixel((0, 0)) == RED


def test_of_a_file_that_is_no_image_little_is_read(tmp_path, monkeypatch):
  """A file of holes may be larger than the memory, and takes no room on the disk."""
  (tmp_path / 'x.png').touch()
  os.truncate(tmp_path / 'x.png', 2**31)
  monkeypatch.setattr(pathlib.Path, 'read_bytes', None)
  with pytest.raises(ValueError, match='not a whole JPEG, PNG'):
    image_lib.upright(tmp_path / 'x.png')


@pytest.mark.parametrize('name', [b'iCCP', b'zTXt'])
def test_large_remarks_are_left_out(tmp_path, name):
  filled('RGB', RED).save(tmp_path / 'x.png')
  written = (tmp_path / 'x.png').read_bytes()
  remark = chunk(name, b'name\0\0' + zlib.compress(bytes(2**21)))
  (tmp_path / 'x.png').write_bytes(written[:33] + remark + written[33:])  # After the header.
  result = image_lib.upright(tmp_path / 'x.png')
  assert result.getpixel((0, 0)) == RED and not result.info
  # What is cut short is refused all the same.
  (tmp_path / 'x.png').write_bytes(written[:33] + remark + written[33:50])
  with pytest.raises(ValueError, match='not a whole JPEG, PNG, BMP, WebP, TIFF or PPM file'):
    image_lib.upright(tmp_path / 'x.png')


@pytest.mark.parametrize('suffix', ['tif', 'pgm'])
def test_gray_values_of_16_bits_are_seen_in_other_formats(tmp_path, suffix):
  path, values = tmp_path / f'x.{suffix}', np.uint16([[0, 1000], [2000, 4000]])
  wide = Image.fromarray(values)
  (wide if suffix == 'tif' else wide.convert('I')).save(path)
  assert image_lib.bits_of([path]) == 12
  np.testing.assert_array_equal(np.asarray(image_lib.upright(path, 12))[..., 0], values >> 4)


def test_of_several_pages_the_first_is_taken(tmp_path):
  filled('RGB', RED).save(
    tmp_path / 'x.tif', save_all=True, append_images=[filled('RGB', (0, 0, 9))]
  )
  assert image_lib.upright(tmp_path / 'x.tif').getpixel((0, 0)) == RED


def test_cmyk_becomes_rgb(tmp_path):
  filled('CMYK', (0, 255, 255, 0)).save(tmp_path / 'x.jpg', quality=95)
  result = image_lib.upright(tmp_path / 'x.jpg')
  np.testing.assert_allclose(np.asarray(result), np.full((8, 9, 3), (255, 0, 0)), atol=3)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'PPM'])
def test_the_content_counts_and_not_the_suffix(tmp_path, kind):
  filled('RGB', RED).save(tmp_path / 'x.png', kind)
  np.testing.assert_allclose(
    np.asarray(image_lib.upright(tmp_path / 'x.png')), np.full((8, 9, 3), RED), atol=6
  )


@pytest.mark.parametrize(
  'orientation, turn',
  [
    (1, lambda stored: stored),
    (2, lambda stored: stored[:, ::-1]),
    (3, lambda stored: stored[::-1, ::-1]),
    # The first row is the right side: a quarter to the right makes it so.
    (6, lambda stored: np.rot90(stored, -1)),
    (8, lambda stored: np.rot90(stored, 1)),
  ],
)
def test_it_is_turned_as_exif_says(tmp_path, orientation, turn):
  stored = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
  exif = Image.Exif()
  exif[0x0112] = orientation
  Image.fromarray(stored).save(tmp_path / 'x.png', exif=exif)
  np.testing.assert_array_equal(np.asarray(image_lib.upright(tmp_path / 'x.png')), turn(stored))


def test_the_middle_is_kept():
  # The value of a pixel is its column (or its row).
  wide = np.tile(np.arange(16, dtype=np.uint8), (8, 1))
  for stored in wide, wide.T:
    result = np.asarray(image_lib.cover(Image.fromarray(stored).convert('RGB'), 8, 8))
    kept = stored[:, 4:12] if stored.shape[1] == 16 else stored[4:12]
    np.testing.assert_array_equal(result, np.repeat(kept[..., None], 3, axis=-1))


def test_halving_averages_neighbours():
  # Columns of 0, 8, 16, ...: the mean of columns 2j and 2j + 1 is 16j + 4. The border has one
  # neighbour less.
  ramp = np.tile(np.arange(16, dtype=np.uint8) * 8, (16, 1))
  result = np.asarray(image_lib.cover(Image.fromarray(ramp), 8, 8))
  np.testing.assert_array_equal(result[:, 1:-1], np.tile(np.arange(1, 7) * 16 + 4, (8, 1)))


def test_fine_patterns_do_not_alias():
  board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
  result = np.asarray(image_lib.cover(Image.fromarray(board.astype(np.uint8)), 8, 8))
  np.testing.assert_allclose(result, np.full((8, 8), 127.5), atol=1.5)


def test_an_image_of_that_size_stays_as_it_is():
  image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
  np.testing.assert_array_equal(np.asarray(image_lib.cover(image, 8, 8)), np.asarray(image))


@pytest.mark.parametrize(
  'damage',
  [
    lambda whole: b'',
    lambda whole: b'hello',
    lambda whole: whole[: len(whole) // 2],
    lambda whole: whole[:20],
  ],
)
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'WEBP'])
def test_a_broken_file_is_a_value_error_and_is_closed(tmp_path, monkeypatch, kind, damage):
  path = tmp_path / 'x.png'
  noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
  Image.fromarray(noise).save(path, kind)
  path.write_bytes(damage(path.read_bytes()))
  files, opened = [], Image.open

  def remember(source, **named):
    image = opened(source, **named)
    files.append(image.fp)
    return image

  monkeypatch.setattr(Image, 'open', remember)
  with pytest.raises(ValueError, match='not a whole JPEG, PNG, BMP, WebP, TIFF or PPM file'):
    image_lib.upright(path)
  assert all(file.closed for file in files)


@pytest.mark.parametrize('limit', [71, 35])
def test_pillows_limit_is_kept_where_only_the_header_is_read(tmp_path, monkeypatch, limit):
  sixteen_bit(7).save(tmp_path / 'x.tif')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', limit)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    assert image_lib.bits_of([tmp_path / 'x.tif']) == 0


@pytest.mark.parametrize('suffix', ['png', 'webp'])
def test_exif_that_nobody_can_read_leaves_the_image_as_it_is(tmp_path, suffix):
  path = tmp_path / f'x.{suffix}'
  filled('RGB', RED).save(path, exif=b'garbage', lossless=True)
  assert image_lib.upright(path).getpixel((0, 0)) == RED


def test_another_kind_of_image_is_a_value_error(tmp_path):
  filled('RGB', RED).save(tmp_path / 'x.png', 'GIF')
  with pytest.raises(ValueError, match='not a whole JPEG'):
    image_lib.upright(tmp_path / 'x.png')


@pytest.mark.parametrize('limit', [71, 35])
def test_pillows_limit_is_kept(tmp_path, monkeypatch, limit):
  """Pillow warns above its limit and refuses above twice the limit; 9x8 pixels are 72."""
  filled('RGB', RED).save(tmp_path / 'x.png')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 72)
  image_lib.upright(tmp_path / 'x.png')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', limit)
  with pytest.raises(ValueError, match=f'more than the {limit} pixels that Pillow allows'):
    image_lib.upright(tmp_path / 'x.png')
