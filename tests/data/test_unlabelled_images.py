"""Images without labels beside a dataset: from a folder, or what few-shot training leaves out."""

import logging

import jax
import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  """Return a folder with images of two classes (`labelled`) and without any (`photos`)."""
  home, random = tmp_path_factory.mktemp('unlabelled'), np.random.default_rng(0)

  def save(name, *size):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)

  for split, count in ('train', 4), ('test', 2):
    for name in 'ab':
      for index in range(count):
        save(f'labelled/{split}/{name}/{index}.png', 8, 8)
  for index in range(3):
    save(f'photos/{index}.png', 9 + index, 20)
  save('photos/deep/er/wide.jpg', 8, 40)
  (home / 'photos' / 'notes.txt').write_text('no image')
  return home


@pytest.fixture(scope='module')
def load(home):
  def load(unlabelled, limit=None):
    where = {'directory': str(home / 'tfds'), 'archive': str(home / 'labelled')}
    return data.load('image_folder', **where, unlabelled=str(home / unlabelled), limit=limit)

  return load


def test_images_of_any_size_join_the_training_split_without_labels(load, home, caplog):
  with caplog.at_level(logging.WARNING, 'pidkd_jax'):
    dataset = load('photos')
  assert 'passed over what is no image by its suffix (.txt: 1)' in caplog.text
  assert 'pixel by pixel' not in caplog.text
  assert len(dataset.train) == 8 and len(dataset.unlabelled.split) == 4
  joined = dataset.join_unlabelled()
  np.testing.assert_array_equal(joined.train.labels, [*dataset.train.labels, -1, -1, -1, -1])
  np.testing.assert_array_equal(joined.spec.labels, joined.train.labels)
  np.testing.assert_array_equal(joined.train.images[8:], dataset.unlabelled.split.images)
  # The dataset is what it was: evaluation, normalisation and fingerprint are of the labelled part.
  plain = data.load(
    'image_folder', directory=str(home / 'tfds'), archive=str(home / 'labelled')
  ).spec
  assert (dataset.spec.normalisation, dataset.spec.fingerprint) == (
    plain.normalisation,
    plain.fingerprint,
  )
  assert dataset.labelled.unlabelled is None and joined.unlabelled is None


def test_on_disk_the_batches_are_the_same(load):
  batches = [
    load('photos', limit)
    .join_unlabelled()
    .train.batches(
      noise.dataset(4, 8, 2).spec.normalisation,
      jax.random.key(0),
      batch_size=6,
      padding=1,
      flip=True,
    )
    for limit in (None, 0)
  ]
  assert [one.steps_per_epoch for one in batches] == [2, 2]
  assert [one.traceable for one in batches] == [True, False]
  for step in (0, 1, 3):
    order = batches[0].order(step // 2)
    ours, theirs = (one.batch(order, step) for one in batches)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_test_image_among_them_is_named(load, home, caplog):
  (home / 'leaking').mkdir()
  for path in (home / 'labelled/test/b/1.png', home / 'photos/0.png'):
    (home / 'leaking' / path.name).write_bytes(path.read_bytes())
  with caplog.at_level(logging.WARNING, 'pidkd_jax'):
    load('leaking')
  assert '1 of the 2 unlabelled images are test images, pixel by pixel (1.png)' in caplog.text


def test_unusable_folders_are_refused_in_one_line(load, home):
  (home / 'empty').mkdir()
  (home / 'spoilt').mkdir()
  for name in ('a.png', 'b.jpg'):
    (home / 'spoilt' / name).write_bytes(b'no image')
  for name, message in {
    'nowhere': 'nowhere is not there; correct `unlabelled`',
    'photos/0.png': '0.png is a file and no folder',
    'empty': 'have no images',
    'spoilt': r'2 images cannot be used: .*a\.png is .*b\.jpg is ',
  }.items():
    with pytest.raises(UserError, match=message) as raised:
      load(name)
    assert '\n' not in str(raised.value)


def test_the_rest_of_few_shot_training_keeps_its_images_and_loses_its_labels():
  dataset = noise.dataset(60, 8, 3)
  few, all_images = dataset.few_shot(4, 0), dataset.few_shot(4, 0, rest=True)
  kept = all_images.train.labels >= 0
  np.testing.assert_array_equal(all_images.train.images, dataset.train.images)
  np.testing.assert_array_equal(all_images.train.labels[kept], dataset.train.labels[kept])
  np.testing.assert_array_equal(all_images.train.images[kept], few.train.images)
  assert (all_images.train.labels[~kept] == -1).all() and kept.sum() == 12
  assert all_images.spec.num_examples == 60
