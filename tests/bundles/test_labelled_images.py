"""Bundles judged on a user's own images: a folder of classes, or arrays with labels."""

import re

import numpy as np
import pytest
from PIL import Image

from pidkd_jax.bundles import labelled_images
from pidkd_jax.core.errors import UserError

SHAPE = (8, 8, 1)
CLASSES = ('ant', 'bee')


@pytest.fixture
def folder(tmp_path):
  """Return a folder with an image of ant and two of bee, each of one gray level."""
  for name, level in (('ant/a.png', 10), ('bee/b.png', 20), ('bee/c.png', 30)):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    Image.new('L', (8, 8), level).save(path)
  return tmp_path


def test_a_folder_gives_images_with_their_classes(folder):
  split = labelled_images.of_folder(folder, CLASSES, SHAPE)
  assert split.images.shape == (3, *SHAPE)
  assert split.images[:, 0, 0, 0].tolist() == [10, 20, 30]
  assert split.labels.tolist() == [0, 1, 1]


def test_a_class_may_lack_images(folder):
  split = labelled_images.of_folder(folder, ('aphid', 'ant', 'bee'), SHAPE)
  assert split.labels.tolist() == [1, 2, 2]


def test_a_folder_that_is_no_class_is_named(folder):
  with pytest.raises(UserError, match='no class of the bundle: bee; its classes are: ant, wasp'):
    labelled_images.of_folder(folder, ('ant', 'wasp'), SHAPE)


def test_a_folder_that_may_be_two_classes_is_refused(folder):
  with pytest.raises(UserError, match='name several classes of the bundle have: bee; remove them'):
    labelled_images.of_folder(folder, ('ant', 'bee', 'wasp', 'bee'), SHAPE)
  # A name that no folder has does no harm.
  split = labelled_images.of_folder(folder, ('wasp', 'ant', 'bee', 'wasp'), SHAPE)
  assert split.labels.tolist() == [1, 2, 2]


def test_a_folder_without_images_or_with_broken_ones_is_refused(tmp_path):
  with pytest.raises(UserError, match='has no images; put them there as CLASS/IMAGE'):
    labelled_images.of_folder(tmp_path, CLASSES, SHAPE)
  with pytest.raises(UserError, match='is no folder'):
    labelled_images.of_folder(tmp_path / 'absent', CLASSES, SHAPE)
  (tmp_path / 'ant').mkdir()
  (tmp_path / 'ant' / 'broken.png').write_bytes(b'none')
  with pytest.raises(UserError, match='broken.png'):
    labelled_images.of_folder(tmp_path, CLASSES, SHAPE)


def test_floats_become_levels():
  images = np.stack([np.zeros(SHAPE), np.full(SHAPE, 0.2)])
  split = labelled_images.of_arrays(images, [0, 1], 2, SHAPE)
  assert split.images.dtype == np.uint8 and split.images.max() == 51


@pytest.mark.parametrize(
  ('labels', 'text'),
  [
    ([0], 'there are 2 images, and the labels are [1]'),
    ([0, 2], 'integers from 0 to 1'),
    ([0, -1], 'integers from 0 to 1'),
    ([0.0, 1.0], 'integers from 0 to 1'),
  ],
)
def test_labels_that_do_not_fit_are_refused(labels, text):
  with pytest.raises(UserError, match=re.escape(text)):
    labelled_images.of_arrays(np.zeros((2, *SHAPE), np.uint8), labels, 2, SHAPE)
