"""Bundles judged on a user's own images: a folder of classes, or arrays with labels."""

import functools
import re
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from pidkd_jax.bundles import labelled_images
from pidkd_jax.bundles.image_reader import ImageReader
from pidkd_jax.core import host_memory
from pidkd_jax.core.errors import UserError

SHAPE = (8, 8, 1)
CLASSES = ('ant', 'bee')
read = functools.partial(ImageReader, shape=SHAPE)


@pytest.fixture
def folder(tmp_path):
  """Return a folder with an image of ant and two of bee, each of one gray level."""
  for name, level in (('ant/a.png', 10), ('bee/b.png', 20), ('bee/c.png', 30)):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    Image.new('L', (8, 8), level).save(path)
  return tmp_path


def test_a_folder_gives_images_with_their_classes(folder):
  split = labelled_images.of_folder(folder, CLASSES, read)
  assert split.images.shape == (3, *SHAPE)
  assert split.images[:, 0, 0, 0].tolist() == [10, 20, 30]
  assert split.labels.tolist() == [0, 1, 1]


def test_what_training_passes_over_is_passed_over_and_counted(folder, caplog):
  (folder / 'bee' / 'more').mkdir()
  for name in ('bee/more/d.png', 'loose.png'):
    Image.new('L', (8, 8)).save(folder / name)
  split = labelled_images.of_folder(folder, CLASSES, read)
  assert split.labels.tolist() == [0, 1, 1]
  assert '1 entries passed over that are no folders of classes' in caplog.text
  assert 'bee: 1 entries passed over' in caplog.text


def test_accents_may_be_composed_in_two_ways(folder):
  (folder / 'bee').rename(folder / 'abe\u0301')
  split = labelled_images.of_folder(folder, ('ab\u00e9', 'ant'), read)
  assert split.labels.tolist() == [0, 0, 1]


def test_a_class_may_lack_images(folder):
  split = labelled_images.of_folder(folder, ('aphid', 'ant', 'bee'), read)
  assert split.labels.tolist() == [1, 2, 2]


def test_a_folder_that_is_no_class_is_named(folder):
  with pytest.raises(UserError, match='no class of the bundle: bee; its classes are: ant, wasp'):
    labelled_images.of_folder(folder, ('ant', 'wasp'), read)


def test_a_folder_that_may_be_two_classes_is_refused(folder):
  with pytest.raises(UserError, match='name several classes of the bundle have: bee; remove them'):
    labelled_images.of_folder(folder, ('ant', 'bee', 'wasp', 'bee'), read)
  # A name that no folder has does no harm.
  split = labelled_images.of_folder(folder, ('wasp', 'ant', 'bee', 'wasp'), read)
  assert split.labels.tolist() == [1, 2, 2]


def test_a_folder_without_images_or_with_broken_ones_is_refused(tmp_path):
  with pytest.raises(UserError, match='has no images; put them there as CLASS/IMAGE'):
    labelled_images.of_folder(tmp_path, CLASSES, read)
  with pytest.raises(UserError, match='is no folder'):
    labelled_images.of_folder(tmp_path / 'absent', CLASSES, read)
  with pytest.raises(UserError, match='is no folder'):
    labelled_images.of_folder(tmp_path / ('a' * 300), CLASSES, read)
  (tmp_path / 'ant').mkdir()
  (tmp_path / 'ant' / 'broken.png').write_bytes(b'none')
  with pytest.raises(UserError, match='broken.png'):
    labelled_images.of_folder(tmp_path, CLASSES, read)


def test_images_lie_in_memory_once(monkeypatch):
  monkeypatch.setattr(labelled_images, '_BATCH_SIZE', 8)
  images, shape = [Image.new('RGB', (64, 64))] * 64, (64, 64, 3)
  everything = functools.partial(ImageReader, shape=shape)
  tracemalloc.start()
  split = labelled_images.of_arrays(images, [0] * 64, 2, shape, everything)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 1.5 * split.images.nbytes


def test_images_that_do_not_fit_into_memory_are_refused(folder, monkeypatch):
  monkeypatch.setattr(host_memory, 'free', lambda: 3 * 3 * 64 - 1)
  with pytest.raises(UserError, match='the 3 images at 8x8 take 3 x 0.0 GB .*--data image_folder'):
    labelled_images.of_folder(folder, CLASSES, read)
  monkeypatch.setattr(host_memory, 'free', lambda: 3 * 3 * 64)
  assert len(labelled_images.of_folder(folder, CLASSES, read)) == 3


def test_floats_become_levels():
  images = np.stack([np.zeros(SHAPE), np.full(SHAPE, 0.2)])
  split = labelled_images.of_arrays(images, [0, 1], 2, SHAPE, read)
  assert split.images.dtype == np.uint8 and split.images.max() == 51


@pytest.mark.parametrize(
  ('labels', 'text'),
  [
    ([0], 'there are 2 images, and the labels are [1]'),
    ([0, 2], 'integers from 0 to 1'),
    ([0, -1], 'integers from 0 to 1'),
    ([0.0, 1.0], 'integers from 0 to 1'),
    ([[0], [1, 1]], 'the labels are no array; give one integer for each image'),
  ],
)
def test_labels_that_do_not_fit_are_refused(labels, text):
  with pytest.raises(UserError, match=re.escape(text)):
    labelled_images.of_arrays(np.zeros((2, *SHAPE), np.uint8), labels, 2, SHAPE, read)
