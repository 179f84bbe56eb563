"""The file of decoded images: equal images, and never those of other records."""

import logging
import pathlib

import numpy as np
import pytest

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline import decoded_images


@pytest.fixture
def load(tmp_path, cifar_archive):
  def load(**fields):
    return data.load(
      'cifar100',
      directory=str(tmp_path / 'tfds'),
      archive=str(cifar_archive),
      verify=False,
      **fields,
    )

  return load


@pytest.fixture
def entries(tmp_path):
  """A function that returns the files of decoded images."""
  return lambda: sorted(tmp_path.glob('tfds/unverified*/*/.decoded*'))


@pytest.fixture
def decoded(monkeypatch):
  """The splits that were decoded, one after the other."""
  splits = []
  read_split = decoded_images.read_split

  def read(split):
    splits.append((split.split, split.side))
    return read_split(split)

  monkeypatch.setattr(decoded_images, 'read_split', read)
  return splits


def values(dataset):
  return [
    (split.images.tobytes(), split.images.shape, split.labels.tolist())
    for split in (dataset.train, dataset.test)
  ]


def test_a_later_start_decodes_nothing_and_is_equal(load, decoded, entries):
  first = load()
  assert decoded == [('train', 0), ('test', 0)]
  again = load()
  assert len(decoded) == 2
  assert values(again) == values(first)
  assert again.spec.fingerprint == first.spec.fingerprint
  assert again.spec.normalisation == first.spec.normalisation
  # TFDS takes no notice of the file, and nothing else is left behind.
  assert [path.name for path in entries()] == ['.decoded.npz']


def test_another_size_has_a_file_of_its_own(load, decoded, entries):
  own, small = load(), load(image_size=16)
  assert small.train.images.shape[1:] == (16, 16, 3) and own.train.images.shape[1:] == (32, 32, 3)
  assert [path.name for path in entries()] == ['.decoded-16.npz', '.decoded.npz']
  assert values(load(image_size=16)) == values(small)
  assert len(decoded) == 4


def test_an_altered_record_is_read_and_refused(load, entries):
  load()
  [entry] = entries()
  [records] = entry.parent.glob('*train*record*')
  content = bytearray(records.read_bytes())
  content[len(content) // 2] ^= 255
  records.write_bytes(content)
  with pytest.raises(UserError, match='is damaged'):
    load()


@pytest.mark.parametrize('where', ['images', 'header', 'end'])
def test_a_damaged_file_is_replaced(load, entries, decoded, where):
  first = load()
  [entry] = entries()
  content = bytearray(entry.read_bytes())
  place = {'images': content.find(first.train.images.tobytes()[:64]) + 40, 'header': 3, 'end': -5}
  content[place[where]] ^= 255
  entry.write_bytes(content)
  assert values(load()) == values(first)
  assert len(decoded) == 4
  assert values(load()) == values(first)
  assert len(decoded) == 4


def test_whole_arrays_of_other_images_are_not_taken(load, entries, decoded):
  first = load()
  [entry] = entries()
  with np.load(entry) as file:
    arrays = dict(file)
  arrays['train_images'] = 255 - arrays['train_images']
  np.savez(entry, **arrays)
  assert values(load()) == values(first)
  assert len(decoded) == 4


def test_a_folder_that_takes_no_file_is_read_at_each_start(
  load, entries, decoded, monkeypatch, caplog
):
  def refuse(*args, **kwargs):
    raise OSError(30, 'Read-only file system')

  monkeypatch.setattr(np, 'savez', refuse)
  with caplog.at_level(logging.INFO):
    first = load()
  assert 'Read-only file system); each start decodes all images' in caplog.text
  assert not entries() and values(load()) == values(first) and len(decoded) == 4


def test_ctrl_c_leaves_no_part_of_it(load, entries, monkeypatch):
  def interrupt(file, **arrays):
    file.write(b'part')
    raise KeyboardInterrupt

  monkeypatch.setattr(np, 'savez', interrupt)
  with pytest.raises(KeyboardInterrupt):
    load()
  assert not entries()


def test_a_large_dataset_is_not_kept(load, entries, monkeypatch):
  monkeypatch.setattr(decoded_images, 'LIMIT', 1000)
  load()
  assert not entries()


def test_a_file_altered_meanwhile_is_not_kept(load, entries, monkeypatch):
  keys = iter('ab')
  monkeypatch.setattr(decoded_images.prepared_files, 'key', lambda folder: next(keys))
  load()
  assert not entries()


def test_preparing_anew_replaces_it(load, entries, tmp_path):
  first = load()
  [entry] = entries()
  for path in pathlib.Path(entry.parent).iterdir():
    path.unlink()
  entry.parent.rmdir()
  assert values(load()) == values(first)
