"""TIN-100, from a small archive in the layout of Tiny-ImageNet."""

import io

import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources import tin100
from tests.data.archives import jpeg, write_zip

ROOT = 'tiny-imagenet-200'
WNIDS = [f'n{number:02d}' for number in range(6)]


@pytest.fixture(scope='module')
def members():
  """Return {member: bytes}: twelve training and two validation images of each of six classes."""
  random = np.random.default_rng(0)
  found = {f'{ROOT}/wnids.txt': '\n'.join(reversed(WNIDS)).encode()}
  lines = []
  for label, wnid in enumerate(WNIDS):
    for number in range(12):
      found[f'{ROOT}/train/{wnid}/images/{wnid}_{number}.JPEG'] = jpeg(random)
    for number in (label, label + len(WNIDS)):
      found[f'{ROOT}/val/images/val_{number}.JPEG'] = jpeg(random)
      lines.append(f'val_{number}.JPEG\t{wnid}\t0\t0\t62\t62\n')
  found[f'{ROOT}/val/val_annotations.txt'] = ''.join(lines).encode()
  return found


@pytest.fixture
def load(tmp_path, members, monkeypatch):
  """Return a function that loads a dataset whose classes have eleven and three images."""
  for source in tin100.DATASETS.values():
    monkeypatch.setattr(source.builder, 'train_images', 11)
    monkeypatch.setattr(source.builder, 'test_images', 3)
  archive = write_zip(tmp_path / 'tiny.zip', members)

  def load(name):
    return data.load(name, directory=str(tmp_path / 'tfds'), archive=str(archive), verify=False)

  return load


def pixels(encoded):
  """Return the means of 2x2 pixels, rounded half up."""
  image = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB')).astype(int)
  return (image.reshape(32, 2, 32, 2, 3).sum((1, 3)) + 2) // 4


def test_images_are_halved_and_numbered_by_their_files(load, members):
  found = load('tin100')
  assert found.spec.name.startswith('unverified_tin100_tiny_')
  assert found.spec.class_names == ('n00', 'n02', 'n04')
  assert found.spec.image_shape == (32, 32, 3)
  assert (len(found.train), len(found.test)) == (33, 9)
  expected = {'train': set(), 'test': set()}
  for label, wnid in enumerate(found.spec.class_names):
    train = [f'train/{wnid}/images/{wnid}_{number}.JPEG' for number in range(12)]
    own = [f'val/images/val_{number}.JPEG' for number in (2 * label, 2 * label + len(WNIDS))]
    # The twelfth training image is the third test image, and not _9, the last by its letters.
    for split, names in (('train', train[:11]), ('test', [*own, train[11]])):
      images = (pixels(members[f'{ROOT}/{name}']) for name in names)
      expected[split] |= {(label, image.astype(np.uint8).tobytes()) for image in images}
  for split, arrays in (('train', found.train), ('test', found.test)):
    rows = zip(arrays.labels.tolist(), arrays.images, strict=True)
    assert {(label, image.tobytes()) for label, image in rows} == expected[split]


def test_the_blocks_divide_the_classes():
  blocks = [source.builder for name, source in tin100.DATASETS.items() if name != 'tin100']
  covered = [position for each in blocks for position in range(100)[each.block]]
  assert covered == list(range(100)) and blocks[1].name == 'tin100_20b'
  assert all(each.train_images + each.test_images == 500 + 50 for each in blocks)


def test_classes_with_too_few_images_are_named(load, monkeypatch):
  monkeypatch.setattr(tin100.Tin100, 'train_images', 13)
  with pytest.raises(UserError, match='needs 13 training and 3 test images of each class; n00'):
    load('tin100')


def test_a_block_beyond_the_archives_classes_is_refused(load):
  with pytest.raises(UserError, match='tin100_20b.* needs classes beyond the 6'):
    load('tin100_20b')
