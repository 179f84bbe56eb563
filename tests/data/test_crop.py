"""Images at any size: random-resized crops, and evaluation by resize and centre crop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.bundles import labelled_images
from pidkd_jax.bundles.image_reader import ImageReader
from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline import augment
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from tests import small

KEY = jax.random.key(3)
# One program each: eager operations are compiled one by one.
windows = jax.jit(augment.ResizedCrop.windows, static_argnums=(0, 2, 3))
resized_crop = jax.jit(augment.ResizedCrop.__call__, static_argnums=(0, 3))


def smooth(count, height, width, channels=3):
  """Images without sharp edges, uint8 [N, H, W, C]."""
  random = np.random.default_rng(0)
  few = random.integers(0, 256, (count, 5, 5, 3), np.uint8)
  images = [Image.fromarray(one).resize((width, height), Image.Resampling.BICUBIC) for one in few]
  return np.stack([np.asarray(image) for image in images])[..., :channels]


# --- random-resized crops


@pytest.mark.parametrize('size', [(8, 8), (20, 12)])
def test_a_resized_crop_is_the_window_as_pillow_resizes_it(size):
  images, crop = smooth(24, 18, 22), augment.ResizedCrop(scale=(0.05, 1))
  start, length = map(np.asarray, windows(crop, KEY, len(images), (18, 22)))
  cropped = np.asarray(resized_crop(crop, KEY, jnp.asarray(images), size))
  assert cropped.dtype == np.uint8 and cropped.shape == (24, *size, 3)
  for image, (top, left), (height, width), ours in zip(images, start, length, cropped):
    window = Image.fromarray(image[top : top + height, left : left + width])
    theirs = window.resize(size[::-1], Image.Resampling.BILINEAR)
    # Pillow rounds after each axis.
    np.testing.assert_allclose(ours.astype(int), np.asarray(theirs, int), atol=1)


def test_windows_have_the_areas_aspects_and_places_that_are_asked_for():
  crop = augment.ResizedCrop(scale=(0.2, 0.6), aspect=(0.5, 2))
  start, length = map(np.asarray, windows(crop, KEY, 3000, (100, 100)))
  area, aspect = length.prod(1) / 1e4, length[:, 1] / length[:, 0]
  assert 0.19 < area.min() < 0.21 and 0.59 < area.max() < 0.61
  np.testing.assert_allclose(area.mean(), 0.4, atol=0.02)
  assert 0.48 < aspect.min() < 0.52 and 1.9 < aspect.max() < 2.1
  np.testing.assert_allclose(np.log(aspect).mean(), 0, atol=0.03)
  assert (start >= 0).all() and (start + length <= 100).all()
  # The middle of the free places is as likely as their ends.
  np.testing.assert_allclose((start / np.maximum(100 - length, 1)).mean(), 0.5, atol=0.02)


@pytest.mark.parametrize('size, window', [((10, 40), (10, 13)), ((40, 10), (13, 10))])
def test_where_no_window_fits_the_middle_is_taken(size, window):
  """As torchvision does, with the aspect nearest to the image's."""
  crop = augment.ResizedCrop(scale=(1, 1))
  start, length = map(np.asarray, windows(crop, KEY, 3, size))
  assert (length == window).all() and (start == (np.array(size) - window) // 2).all()


def test_the_whole_image_stays_as_it_is():
  images = jnp.asarray(smooth(2, 9, 9))
  whole = augment.ResizedCrop(scale=(1, 1), aspect=(1, 1))
  np.testing.assert_array_equal(resized_crop(whole, KEY, images, (9, 9)), images)


def batches(split, **fields):
  settings = {'batch_size': 2, 'flip': True, 'crop': augment.ResizedCrop()} | fields
  return split.batches(Normalisation((0.0,) * 3, (1.0,) * 3), KEY, **settings)


def test_a_batch_of_resized_crops_is_a_function_of_seed_and_step():
  split = ResidentSplit(smooth(6, 12, 12), np.arange(6, dtype=np.int32), side=8)
  source, again = batches(split), batches(split)
  order = source.order(0)
  seen = [source.batch(order, step) for step in range(3)]
  assert seen[0].image.shape == (2, 8, 8, 3) == source.shapes.image.shape
  jax.tree.map(np.testing.assert_array_equal, again.batch(again.order(0), 2), seen[2])
  assert not np.array_equal(source.batch(source.order(1), 3).image, seen[0].image)


def test_a_padded_crop_of_a_larger_image_lies_within_it():
  images = smooth(1, 10, 10)
  cropped = augment.PaddedCrop(0)(KEY, jnp.asarray(images.repeat(40, axis=0)), (8, 8))
  windows = {images[0, y : y + 8, x : x + 8].tobytes() for y in range(3) for x in range(3)}
  assert {np.asarray(one).tobytes() for one in cropped} == windows


def test_a_padded_crop_draws_as_version_0_1_0_did():
  """So that a run of that version resumes with the same batches."""
  images = jnp.asarray(smooth(5, 8, 8))
  corners = np.asarray(jax.random.randint(KEY, (5, 2), 0, 5))
  padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
  wanted = [one[y : y + 8, x : x + 8] for one, (y, x) in zip(padded, corners)]
  np.testing.assert_array_equal(augment.PaddedCrop(2)(KEY, images, (8, 8)), wanted)


# --- stored images, and the middle that evaluation sees


def test_evaluation_sees_the_middle_and_training_the_stored_image():
  images = smooth(3, 11, 11)
  split = ResidentSplit(images, np.arange(3, dtype=np.int32), side=8)
  [block] = split.blocks(4)
  assert split.image_shape == (8, 8, 3) and split.stored_shape == (11, 11, 3)
  # torchvision rounds 1.5 to 2.
  np.testing.assert_array_equal(block[:3], images[:, 2:10, 2:10])
  assert split.take(np.array([1])).image_shape == (8, 8, 3)


@pytest.fixture
def photos(tmp_path):
  """Photographs of two classes, each of another size."""
  for split, count in ('train', 3), ('test', 2):
    for label, name in enumerate('ab'):
      for index in range(count):
        path = tmp_path / 'photos' / split / name / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = smooth(8, 20 + 3 * index, 30 - index)[4 * label + index]
        Image.fromarray(pixels).save(path)
  return tmp_path / 'photos'


@pytest.mark.parametrize('limit', [None, 0])
def test_a_folder_is_evaluated_as_its_files_are_predicted(tmp_path, photos, limit):
  dataset = data.load(
    'image_folder',
    directory=str(tmp_path / 'tfds'),
    archive=str(photos),
    image_size=14,
    crop_ratio=0.875,
    limit=limit,
  )
  assert dataset.test.stored_shape == (16, 16, 3)
  assert dataset.spec.image_shape == (14, 14, 3) and dataset.spec.crop_ratio == 0.875
  assert dataset.spec.source.endswith(
    'scaled and cut to 16x16, of which evaluation sees the middle 14x14'
  )
  [block] = dataset.test.blocks(4)
  read = labelled_images.of_folder(
    photos / 'test', 'ab', lambda paths: ImageReader(paths, (14, 14, 3), 0.875)
  )
  order = np.lexsort((read.labels, read.images.sum((1, 2, 3))))
  ours = np.asarray(block)
  ours_order = np.lexsort((dataset.test.labels, ours.sum((1, 2, 3), dtype=int)))
  np.testing.assert_array_equal(ours[ours_order], read.images[order])
  np.testing.assert_array_equal(dataset.test.labels[ours_order], read.labels[order])


def test_two_crops_of_one_stored_size_are_two_data_sets(tmp_path, photos):
  def load(image_size, crop_ratio):
    return data.load(
      'image_folder',
      directory=str(tmp_path / 'tfds'),
      archive=str(photos),
      image_size=image_size,
      crop_ratio=crop_ratio,
    ).spec

  specs = [load(14, 0.875), load(16, 1.0), load(12, 0.75)]
  assert len({spec.name for spec in specs}) == 1  # Prepared once.
  assert len({spec.fingerprint for spec in specs}) == 3


def test_any_data_set_is_brought_to_a_size(tmp_path):
  small.digits(tmp_path)
  own, scaled = (
    data.load('digits', directory=str(tmp_path), image_size=size, crop_ratio=ratio)
    for size, ratio in ((0, 1.0), (14, 0.875))
  )
  streamed = data.load('digits', directory=str(tmp_path), image_size=14, crop_ratio=0.875, limit=0)
  assert (own.spec.image_shape, scaled.spec.image_shape) == ((8, 8, 1), (14, 14, 1))
  assert scaled.spec.padding == 1 and scaled.spec.source.endswith(
    ', scaled and cut to 16x16, of which evaluation sees the middle 14x14'
  )
  wanted = Image.fromarray(own.test.images[3, ..., 0]).resize((16, 16), Image.Resampling.BILINEAR)
  np.testing.assert_array_equal(scaled.test.images[3, ..., 0], np.asarray(wanted))
  assert scaled.spec.fingerprint == streamed.spec.fingerprint != own.spec.fingerprint
  [ours], [theirs] = (split.take(np.arange(5)).blocks(5) for split in (scaled.test, streamed.test))
  np.testing.assert_array_equal(ours, theirs)


def test_pixels_are_scaled_and_cut_as_torchvision_does_it():
  """Resize(16), CenterCrop(14), on an image of two by one."""
  picture = Image.fromarray(smooth(1, 40, 20)[0])
  scaled = picture.resize((16, 32), Image.Resampling.BILINEAR)
  wanted = np.asarray(scaled)[9:23, 1:15]
  ours, note = image_lib.pixels(picture, (14, 14, 3), crop_ratio=0.875)
  np.testing.assert_allclose(ours.astype(int), wanted.astype(int), atol=1)
  assert note == '20x40, scaled and cut to 14x14'


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'crop_ratio': 0.0}, '`crop_ratio` is 0.0; a share above 0 and up to 1 is needed'),
    ({'crop_ratio': 0.9}, 'no size was given to crop to; name it with'),
    ({'image_size': 7}, '`image_size` is 7; it must be at least 8, or 0 for the'),
  ],
)
def test_a_size_that_nobody_can_mean_is_refused(fields, message, tmp_path):
  with pytest.raises(UserError, match=message):
    data.load('digits', directory=str(tmp_path), **fields)
