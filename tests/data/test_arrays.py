"""Datasets from arrays in memory."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from pidkd_jax import data
from pidkd_jax.bundles import bundle
from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation

LABELS = np.arange(30) % 3


@pytest.fixture(scope='module')
def images():
  return np.random.default_rng(0).integers(0, 256, (30, 8, 16, 3), np.uint8)


def test_both_splits_as_given(images):
  dataset = data.from_arrays((images, LABELS), (images[:5], LABELS[:5]))
  for split, size in (dataset.train, 30), (dataset.test, 5):
    np.testing.assert_array_equal(split.images, images[:size])
    np.testing.assert_array_equal(split.labels, LABELS[:size])
    assert split.labels.dtype == np.int32
  spec = dataset.spec
  assert (spec.name, spec.format, spec.archive) == ('arrays', '', '')
  assert (spec.source, spec.class_names) == ('arrays in memory', ('0', '1', '2'))
  assert (spec.image_shape, spec.padding, spec.flip) == ((8, 16, 3), 1, True)
  assert spec.labels is dataset.train.labels and len(spec.fingerprint) == 64
  np.testing.assert_allclose(spec.normalisation.mean, (images / 255).mean((0, 1, 2)))
  np.testing.assert_allclose(spec.normalisation.std, (images / 255).std((0, 1, 2)))


def test_every_option(images):
  normalisation = Normalisation((0.1,) * 3, (0.2,) * 3)
  spec = data.from_arrays(
    (images, LABELS),
    (images, LABELS),
    class_names=['a', 'b', 'c'],
    normalisation=normalisation,
    padding=3,
    flip=False,
    name='mine',
  ).spec
  assert (spec.name, spec.class_names, spec.padding, spec.flip) == ('mine', tuple('abc'), 3, False)
  assert spec.normalisation == normalisation


def test_names_of_classes_may_come_one_by_one(images):
  for names in (iter('abc'), np.array(['a', 'b', 'c'])):
    spec = data.from_arrays((images, LABELS), class_names=names).spec
    assert spec.class_names == ('a', 'b', 'c') and type(spec.class_names[0]) is str


def test_a_normalisation_of_arrays_can_stand_on_a_card(images):
  given = Normalisation(np.float32([0.5, 0.25, 0.125]), jnp.full(3, 0.25))
  spec = data.from_arrays((images, LABELS), normalisation=given).spec
  assert spec.normalisation == Normalisation((0.5, 0.25, 0.125), (0.25,) * 3)
  # One of another origin may still have arrays.
  entries = json.loads(json.dumps(bundle.dataset_card(spec, given)))
  assert (entries['mean'], entries['std']) == ([0.5, 0.25, 0.125], [0.25] * 3)


def test_a_test_split_is_held_out(images):
  whole = data.from_arrays((images, LABELS), (images, LABELS))
  dataset = data.from_arrays((images, LABELS), test_fraction=0.3, seed=5)
  rest, held_out = whole.hold_out(0.3, seed=5)
  np.testing.assert_array_equal(dataset.train.images, rest.train.images)
  np.testing.assert_array_equal(dataset.test.images, held_out.images)
  np.testing.assert_array_equal(dataset.test.images[:8], held_out.images[:8])
  assert np.bincount(dataset.test.labels).tolist() == [3, 3, 3]
  np.testing.assert_array_equal(dataset.spec.labels, dataset.train.labels)
  # The statistics are those of the images that are trained on.
  again = data.from_arrays(
    (rest.train.images, rest.train.labels), (held_out.images, held_out.labels)
  )
  assert again.spec.normalisation == dataset.spec.normalisation != whole.spec.normalisation
  assert again.spec.fingerprint == dataset.spec.fingerprint != whole.spec.fingerprint


@pytest.mark.parametrize(
  'convert',
  [
    list,
    jnp.asarray,
    np.ndarray.tolist,
    lambda images: images.astype(np.int64),
    lambda images: images / 255,
    lambda images: jnp.asarray(images, jnp.float32) / 255,
  ],
)
def test_arrays_of_any_kind(images, convert):
  expected = data.from_arrays((images, LABELS))
  dataset = data.from_arrays((convert(images), LABELS.tolist()))
  assert dataset.train.images.dtype == np.uint8
  assert dataset.spec.fingerprint == expected.spec.fingerprint


class Tensor:
  """A tensor of PyTorch on some device, as far as numpy asks it."""

  def __init__(self, values, detached=False):
    self.values, self.detached = values, detached

  def detach(self):
    return Tensor(self.values, detached=True)

  def cpu(self):
    return self

  def __array__(self, dtype=None, copy=None):
    if not self.detached:
      raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
    return np.asarray(self.values, dtype)


def test_a_tensor_that_requires_a_gradient_is_taken(images):
  dataset = data.from_arrays((Tensor(images), Tensor(LABELS)))
  assert dataset.spec.fingerprint == data.from_arrays((images, LABELS)).spec.fingerprint
  tensors = [Tensor(image) for image in images]
  with pytest.raises(UserError, match='train images are no array .*requires grad.*; all elements'):
    data.from_arrays((tensors, LABELS))


def test_test_images_that_are_training_images_are_counted(images, caplog):
  data.from_arrays((images[:20], LABELS[:20]), (images[20:], LABELS[20:]))
  assert not caplog.messages
  data.from_arrays((images[:20], LABELS[:20]), (images[15:], LABELS[15:]))
  assert '5 of the 15 test images are training images, pixel by pixel (rows 0, 1, 2, 3, 4 of' in (
    caplog.text
  )


def test_rounding_of_floats_is_logged(images, caplog):
  with caplog.at_level('INFO', logger='pidkd_jax'):
    data.from_arrays((images, LABELS))
    assert not caplog.messages
    floats = np.full((4, 8, 8), 0.503)  # 128.265 / 255.
    floats[range(4), range(4)] = 1
    dataset = data.from_arrays((floats.astype(jnp.bfloat16), [0, 0, 1, 1]), test_fraction=0.5)
  assert caplog.messages == [
    'train images are rounded from floats in [0, 1] to the 256 levels of uint8'
  ]
  assert set(np.unique([*dataset.train.images, *dataset.test.images])) == {128, 255}


def test_gray_images_get_a_channel():
  dataset = data.from_arrays((np.zeros((4, 9, 8), np.uint8), [1, 0, 1, 0]))
  assert dataset.spec.image_shape == (9, 8, 1) and dataset.test.images.shape == (2, 9, 8, 1)


GRAY = np.zeros((6, 8, 8), np.uint8)
PAIR = (GRAY, [0, 1, 2, 0, 1, 2])
NAN = np.where(np.indices(GRAY.shape)[0] == 3, np.nan, 0.5)


@pytest.mark.parametrize(
  'train, options, message',
  [
    (GRAY, {}, r'train must be a pair \(images, labels\)'),
    ((GRAY,), {}, 'train must be a pair'),
    ((GRAY[0], [0] * 8), {}, r'train images have the shape \[8, 8\]; \[N, H, W, C\], or'),
    (([], []), {}, r'train images have the shape \[0\]'),
    ((GRAY[:0], []), {}, r'train images are empty: their shape is \[0, 8, 8\]'),
    ((GRAY[..., :7], PAIR[1]), {}, r'train images are 8x7x1 .* at least 8x8 pixels are needed'),
    ((np.zeros((6, 3, 32, 32), np.uint8), PAIR[1]), {}, r'are 3x32x32 in the layout \[N, H, W, C'),
    (([[[1, 2], [3]]], [0]), {}, 'train images are no array'),
    ((GRAY.astype(str), PAIR[1]), {}, 'train images are <U.*; uint8 or floats in'),
    ((GRAY > 0, PAIR[1]), {}, 'train images are bool; uint8 or floats'),
    ((GRAY.astype(complex), PAIR[1]), {}, 'train images are complex128'),
    ((GRAY - 0.5, PAIR[1]), {}, r'hold values from -0.5 to -0.5; floats must lie in \[0, 1\]'),
    ((GRAY + 255.0, PAIR[1]), {}, r'hold values from 255 to 255; floats must lie in \[0, 1\]'),
    ((NAN, PAIR[1]), {}, 'hold values from nan to nan; floats'),
    ((GRAY + np.inf, PAIR[1]), {}, 'hold values from inf to inf; floats'),
    ((GRAY + np.int64(256), PAIR[1]), {}, r'to 256; integers must lie in \[0, 255\]'),
    ((GRAY, [0, 1, 2]), {}, 'train has 6 images and 3 labels'),
    ((GRAY, np.eye(6, dtype=int)), {}, r'train labels are int64\[6, 6\]; integers \[N\] are'),
    ((GRAY, [0.0, 1, 2, 0, 1, 2]), {}, r'train labels are float64\[6\]; integers \[N\]'),
    ((GRAY, [0, 1, 2, 0, 1, -1]), {}, 'a train label is -1; labels start from 0'),
    ((GRAY, [0, 1, 3, 0, 1, 3]), {}, 'no training image has the label 2; each of the 4 classes'),
    ((GRAY, [1, 2, 3, 1, 2, 3]), {}, 'no training image has the label 0'),
    ((GRAY, [0, 1, 2, 0, 1, 2**40]), {}, 'a train label is 1099511627776; labels go from 0'),
    ((GRAY, [0, 1, 2, 0, 1, 2**30]), {}, 'no training image has the label 3'),
    ((GRAY, [0] * 6), {}, 'the training images have 1 class; at least 2 are needed'),
    (PAIR, {'class_names': 'ab'}, 'a train label is 2; class_names has names for 0 to 1'),
    (PAIR, {'class_names': 'abcd'}, 'no training image has the label 3; each of the 4 classes'),
    (PAIR, {'class_names': 'aab'}, 'class_names has a name twice'),
    (PAIR, {'normalisation': Normalisation((0.5,) * 3, (0.2,) * 3)}, 'normalisation has 3 chan'),
    (PAIR, {'normalisation': Normalisation((127.5,), (0.2,))}, 'has the mean 127.5, and pixels'),
    (PAIR, {'normalisation': Normalisation((0.5,), (0.0,))}, 'normalisation: std 0 is not within'),
    (PAIR, {'image_size': 9}, 'are to see 9x9 pixels of images of 8x8x1; square images of'),
    (PAIR, {'teacher_size': 8}, '`teacher_size` is 8 and `image_size` 0; the students'),
    (PAIR, {'padding': 2.5}, 'padding is 2.5; a whole number from 0 up is needed'),
    (PAIR, {'image_size': 8.0}, 'image_size is 8.0; a whole number from 0 up is needed'),
    (PAIR, {'normalisation': ((0.5,), (0.2,))}, 'normalisation is a tuple; give a Normalisation'),
    (PAIR, {'padding': -1}, 'padding is -1; a whole number from 0 up is needed'),
    (PAIR, {'class_names': 2}, 'class_names is 2; a list of names is needed, in the labels'),
    (PAIR, {'class_names': {0: 'a', 1: 'b', 2: 'c'}}, 'class_names is {0: .*; a list of names'),
    (PAIR, {'test_fraction': '0.2'}, "test_fraction is '0.2'; a number is needed"),
    (PAIR, {'seed': 'a'}, "seed is 'a'; a whole number is needed"),
    (PAIR, {'seed': -1}, 'seed is -1; a whole number from 0 up is needed'),
    (PAIR, {'flip': 'no'}, "flip is 'no'; True or False is needed"),
    (PAIR, {'name': None}, 'name is None; a text is needed'),
    (PAIR, {'test_fraction': 1.5}, 'hold-out fraction 1.5 must lie between 0 and 1'),
    ((GRAY, [0, 1, 2, 0, 1, 1]), {}, "class '2' of arrays has 1 training image"),
    (PAIR, {'test': (GRAY, [0, 1, 2])}, 'test has 6 images and 3 labels'),
    (PAIR, {'test': (GRAY[:0], [])}, 'test images are empty'),
    (PAIR, {'test': (GRAY[:1], [3])}, 'a test label is 3; the training split has 3 classes'),
    (PAIR, {'test': (np.zeros((1, 9, 8), int), [0])}, 'test images are 9x8x1; the training images'),
  ],
)  # fmt: skip
def test_wrong_arrays_are_refused(train, options, message):
  with pytest.raises(UserError, match=message) as error:
    data.from_arrays(train, **options)
  assert '\n' not in str(error.value)


def test_networks_see_a_part_of_larger_images():
  images = np.random.default_rng(0).integers(0, 256, (10, 20, 20, 3), np.uint8)
  labels = np.arange(10) % 2
  whole, middle, smaller = (
    data.from_arrays((images, labels), (images, labels), **sizes)
    for sizes in ({}, {'image_size': 16}, {'image_size': 8, 'teacher_size': 16})
  )
  [block] = middle.test.blocks(10)
  np.testing.assert_array_equal(block, images[:, 2:18, 2:18])
  assert middle.train.stored_shape == (20, 20, 3) and middle.spec.padding == 2
  assert middle.spec.image_shape == (16, 16, 3) and middle.spec.crop_ratio == 0.8
  assert smaller.spec.image_shape == (8, 8, 3) and smaller.spec.teacher_shape == (16, 16, 3)
  [block] = smaller.test.larger.blocks(10)
  np.testing.assert_array_equal(block, images[:, 2:18, 2:18])
  fingerprints = {one.spec.fingerprint for one in (whole, middle, smaller)}
  assert len(fingerprints) == 3 and whole.spec.crop_ratio == 1
  assert whole.spec.normalisation == middle.spec.normalisation
  held_out = data.from_arrays((images, labels), image_size=16)
  assert len(held_out.test) == 2 and held_out.test.image_shape == (16, 16, 3)


@pytest.mark.parametrize('stored, side', [(250, 224), (256, 224), (49, 48), (111, 61)])
def test_the_ratio_scales_other_images_to_the_stored_size(stored, side):
  images = np.zeros((4, stored, stored, 1), np.uint8)
  spec = data.from_arrays((images, [0, 1, 0, 1]), image_size=side).spec
  assert image_lib.before_crop(side, spec.crop_ratio) == stored


@settings(max_examples=60, deadline=None)
@given(
  np_st.arrays(
    st.sampled_from([np.uint8, np.int32, np.float16, np.float64, np.bool_, np.dtype('<U1')]),
    np_st.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=9),
  ),
  np_st.arrays(
    st.sampled_from([np.int8, np.uint64, np.float32, object]),
    np_st.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=9),
  ),
)
def test_any_arrays_make_a_dataset_or_a_line(images, labels):
  try:
    dataset = data.from_arrays((images, labels))
  except UserError as error:
    assert '\n' not in str(error)
  else:
    assert dataset.train.images.dtype == np.uint8
    assert len(dataset.train) + len(dataset.test) == len(images)
