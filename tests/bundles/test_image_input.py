"""Images as a user has them: files, images of Pillow and arrays, of one or many."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import pidkd_jax as kd
from pidkd_jax.bundles import bundle, image_input, image_reader
from pidkd_jax.bundles.image_reader import ImageReader
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.network import Network
from tests.plain import Plain

COLOUR, GRAY = (6, 8, 3), (8, 8, 1)


@pytest.fixture(scope='module')
def student(fill, tmp_path_factory):
  """A function that returns a network for images of a shape."""
  made = {}

  def student(shape):
    if shape not in made:
      model, channels = Plain(num_classes=4), shape[-1]
      shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))
      facts = {'name': 'toy', 'class_names': None, 'image_shape': shape}
      facts |= {'mean': (0.5,) * channels, 'std': (0.25,) * channels}
      folder = tmp_path_factory.mktemp('given') / 'plain'
      bundle.save(folder, Network(fill(shapes), model), {'dataset': facts})
      made[shape] = kd.load(folder, own=[Plain])
    return made[shape]

  return student


def drawn(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize('shape', [GRAY, COLOUR])
def test_one_image_in_every_form_has_one_answer(student, tmp_path, shape):
  network, pixels = student(shape), drawn(*shape)
  picture = Image.fromarray(pixels[..., 0] if shape == GRAY else pixels)
  picture.save(tmp_path / 'one.png')
  expected = network.predict(pixels)
  assert expected.shape == (4,)
  forms = [picture, tmp_path / 'one.png', str(tmp_path / 'one.png'), jnp.asarray(pixels)]
  for form in forms if shape == COLOUR else [*forms, pixels[..., 0]]:
    np.testing.assert_array_equal(network.predict(form), expected)


@pytest.mark.parametrize('shape', [GRAY, COLOUR])
def test_several_images_in_every_form_have_the_same_answers(student, tmp_path, shape):
  network, pixels = student(shape), drawn(3, *shape)
  bare = pixels[..., 0] if shape == GRAY else pixels
  paths = [tmp_path / f'{i}.png' for i in range(3)]
  for one, path in zip(bare, paths, strict=True):
    Image.fromarray(one).save(path)
  expected = network.predict(pixels)
  assert expected.shape == (3, 4) and np.ptp(expected, axis=0).min() > 0
  for form in (
    paths,
    tuple(map(str, paths)),
    (path for path in paths),
    np.array(list(map(str, paths))),
    [str(paths[0]), *map(Image.open, paths[1:])],
    list(pixels),
    bare,
  ):
    np.testing.assert_array_equal(network.predict(form), expected)
  assert network.predict([]).shape == (0, 4)
  assert network.predict(paths[:1]).shape == (1, 4)
  assert network.top(paths, k=1) == network.top(pixels, k=1)


def test_files_of_any_size_and_mode_are_brought_to_the_networks(student, tmp_path):
  """Each of four pixels becomes one of them; the middle of a long image is kept; gray is gray."""
  gray = drawn(8, 8)
  large = np.repeat(np.repeat(gray, 2, axis=0), 2, axis=1)
  wide = np.concatenate([np.zeros((8, 4), np.uint8), gray, np.zeros((8, 4), np.uint8)], axis=1)
  expected = student(GRAY).predict(gray)
  np.testing.assert_array_equal(student(GRAY).predict(Image.fromarray(wide)), expected)
  three = np.repeat(gray[..., None], 3, axis=-1)
  np.testing.assert_array_equal(student(GRAY).predict(Image.fromarray(three)), expected)
  [batch] = ImageReader([Image.fromarray(large)], GRAY).batches(4)
  assert batch.notes == ['16x16, scaled and cut to 8x8']
  [batch] = ImageReader([Image.fromarray(gray)], COLOUR).batches(4)
  assert batch.notes == ['8x8, scaled and cut to 8x6']
  np.testing.assert_array_equal(batch.pixels[0], three[1:7])


def test_the_depth_of_16_bits_is_one_for_all_and_said(tmp_path, caplog):
  levels = drawn(2, 8, 8).astype(np.uint16)
  levels[0, 0, 0] = 255
  pictures = [Image.fromarray(one << 4) for one in levels]  # Of 12 bits.
  pictures[1].save(tmp_path / 'one.png')
  reader = ImageReader([pictures[0], tmp_path / 'one.png'], GRAY)
  [batch] = reader.batches(2)
  np.testing.assert_array_equal(batch.pixels[..., 0], levels)
  assert reader.bits == 12 and 'need 12 bits' in caplog.text


def test_the_depth_of_the_data_holds_for_each_image(student, caplog):
  """A dark image of 12 bits is as dark alone as beside a bright one."""
  dark = Image.fromarray(np.full((8, 8), 999, np.uint16))
  network = student(GRAY)
  entries = {**network.card['dataset'], 'bits': 12}
  deep = dataclasses.replace(network.bundle, card={**network.card, 'dataset': entries})
  [batch] = kd.TrainedNetwork(deep).reader([dark]).batches(1)
  assert (batch.pixels == 999 >> 4).all() and not caplog.text


def test_all_that_cannot_be_used_is_named_at_once(student, tmp_path):
  Image.fromarray(drawn(8, 8)).save(tmp_path / 'good.png')
  (tmp_path / 'text.png').write_text('no image')
  (tmp_path / 'folder').mkdir()
  names = ['text.png', 'good.png', 'nowhere.png', 'folder', longest := 'n' * 300]
  with pytest.raises(UserError) as error:
    student(GRAY).predict([tmp_path / name for name in names])
  assert str(error.value) == (
    f'4 images cannot be used: {tmp_path}/text.png is not a whole JPEG, PNG, BMP, WebP, TIFF '
    f'or PPM file; {tmp_path}/nowhere.png is not there; {tmp_path}/folder is a folder; '
    f'{tmp_path}/{longest} is not there; mend or remove them'
  )
  floats = Image.fromarray(np.zeros((8, 8), np.float32))
  deep = Image.fromarray(np.full((8, 8), 2**17, np.int32))
  with pytest.raises(UserError, match='image 0 is of floating.*image 1 is of values from 131072'):
    student(GRAY).predict([floats, deep])


def test_files_are_read_a_batch_at_a_time(monkeypatch):
  sizes = []
  monkeypatch.setattr(
    image_reader.image_lib, 'pixels', lambda *_: sizes.append(1) or (np.zeros(GRAY, np.uint8), '')
  )
  batches = ImageReader([Image.new('L', (8, 8))] * 5, GRAY).batches(2)
  for read, expected in (2, 2), (4, 2), (5, 1):
    assert len(next(batches).pixels) == expected
    assert len(sizes) == read


@pytest.mark.parametrize(
  ('images', 'shape', 'says'),
  [
    (['a.png', np.zeros(GRAY)], GRAY, 'of several kinds, str and ndarray; give either'),
    ([np.zeros(GRAY), np.zeros((4, 4, 1))], GRAY, 'give arrays of one shape, or files'),
    (None, GRAY, 'a NoneType is no image; give arrays, names of files'),
    (np.zeros((8, 8, 3), np.uint8), GRAY, 'are [8, 8, 3]; [N, 8, 8, 1] is needed, or [8, 8, 1]'),
    (np.zeros((6, 8), np.uint8), COLOUR, 'image files and images of Pillow may have any size'),
    (np.zeros((8, 8), np.uint16), GRAY, 'uint16; make them uint8'),
  ],
)
def test_what_nobody_can_mean_is_refused(images, shape, says):
  with pytest.raises(UserError) as error:
    image_input.take(images, shape)
  assert says in str(error.value) and '\n' not in str(error.value)


def test_images_of_two_channels_come_as_arrays():
  with pytest.raises(UserError, match='of 2 channels, which no file is read as; give arrays'):
    ImageReader(['a.png'], (8, 8, 2))
