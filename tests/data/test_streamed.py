"""Splits on disk give results bit-identical to those of the same splits in memory."""

import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.pipeline.example_reader import ExampleReader
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.pipeline.streamed_split import StreamedSplit
from pidkd_jax.evaluation import inference
from pidkd_jax.models.network import Network
from tests.data import archives
from tests.plain import Plain

MEAN, STD = (0.5, 0.25, 0.1), (0.3, 0.2, 0.5)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('stored')


@pytest.fixture(autouse=True)
def caches(home, monkeypatch):
  """The folder of kept statistics."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'caches'))
  return home / 'caches' / 'pidkd_jax' / 'statistics'


def folder(home):
  random = np.random.default_rng(0)
  for split, count in ('train', 5), ('test', 2):
    for name in 'ab':
      place = home / 'photos' / split / name
      place.mkdir(parents=True)
      for index in range(count):
        Image.fromarray(random.integers(0, 256, (9, 10, 3), np.uint8)).save(place / f'{index}.png')
  return home / 'photos'


ARCHIVES = {
  'cifar100': lambda home: archives.write_tar(
    home / 'small.tar.gz', archives.cifar_members(num_train=23, num_test=9)
  ),
  'tiny_imagenet': lambda home: archives.write_zip(home / 'small.zip', archives.tiny_members()),
  'image_folder': folder,
}


@pytest.fixture(scope='module')
def load(home):
  """A function that loads a dataset of a few examples, in memory (limit None) or on disk (0)."""
  made = {}

  def load(name, limit):
    if name not in made:
      made[name] = str(ARCHIVES[name](home))
    return data.load(
      name, directory=str(home / 'tfds'), archive=made[name], verify=False, limit=limit
    )

  return load


@pytest.fixture
def both(load):
  """CIFAR-100's format, 23 and 9 images: in memory, and on disk."""
  return load('cifar100', None), load('cifar100', 0)


def pixels(examples, size=4):
  return np.concatenate(list(map(np.asarray, examples.blocks(size))))


def assert_equal(ours, theirs):
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)


# --- statistics


@pytest.mark.parametrize('name', ARCHIVES)
def test_specs_labels_and_images_are_those_in_memory(load, name):
  held, on_disk = load(name, None), load(name, 0)
  assert isinstance(held.train, ResidentSplit)
  assert isinstance(on_disk.train, StreamedSplit)
  for field in dataclasses.fields(held.spec):
    ours, theirs = (getattr(dataset.spec, field.name) for dataset in (on_disk, held))
    if field.name == 'normalisation':
      assert ours == theirs
    else:
      np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
  for ours, theirs in (on_disk.train, held.train), (on_disk.test, held.test):
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert ours.labels.dtype == theirs.labels.dtype
    assert_equal(pixels(ours, 7), pixels(theirs, 7))


def test_a_dataset_is_streamed_by_the_bytes_of_its_images(load):
  size = (23 + 9) * 32 * 32 * 3
  assert isinstance(load('cifar100', size).train, ResidentSplit)
  assert isinstance(load('cifar100', size - 1).train, StreamedSplit)


@pytest.fixture
def passes(both, monkeypatch):
  """The splits that were read for their statistics, in order."""
  splits = []
  monkeypatch.setattr(ExampleReader, 'check', lambda reader: splits.append(reader.split.split))
  return splits


def test_statistics_take_one_pass(load, passes, caches):
  for entry in caches.glob('*'):
    entry.unlink()
  first = load('cifar100', 0)
  assert passes == ['train', 'test']
  again = load('cifar100', 0)
  assert passes == ['train', 'test']
  assert (
    again.spec.fingerprint == first.spec.fingerprint
    and again.spec.normalisation.mean == first.spec.normalisation.mean
  )
  np.testing.assert_array_equal(again.test.labels, first.test.labels)


def test_an_altered_file_is_read_again_even_if_its_times_are_restored(load, passes, both):
  path = pathlib.Path(both[1].train.reader.split.files[0].filename)
  before = path.stat()
  load('cifar100', 0)
  assert passes == []
  path.write_bytes(path.read_bytes())
  os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
  assert path.stat().st_mtime_ns == before.st_mtime_ns
  load('cifar100', 0)
  assert passes == ['train', 'test']


@pytest.mark.parametrize('content', [b'', b'PK no archive', None])
def test_a_damaged_cache_entry_is_computed_again(load, passes, caches, both, content):
  for entry in caches.iterdir():
    entry.write_bytes(entry.read_bytes()[:-30] if content is None else content)
  assert load('cifar100', 0).spec.fingerprint == both[0].spec.fingerprint
  assert passes == ['train', 'test']


def test_statistics_are_computed_without_a_cache_folder(load, both, home, monkeypatch, caplog):
  (home / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'file'))
  assert load('cifar100', 0).spec.fingerprint == both[0].spec.fingerprint
  assert 'cannot be written' in caplog.text


# --- batches and evaluation


def stream(examples, batch_size=4):
  key = jax.random.key(7)
  return examples.batches(
    Normalisation(MEAN, STD), key, batch_size=batch_size, padding=2, flip=True
  )


def run(source, steps):
  batches, order = [], {}
  for step in steps:
    epoch = step // source.steps_per_epoch
    if epoch not in order:
      order = {epoch: source.order(jnp.int32(epoch))}
    batches.append(source.batch(order[epoch], jnp.int32(step)))
  return batches


def test_batches_are_those_of_the_split_in_memory(both):
  held, streamed = (stream(dataset.train) for dataset in both)
  assert held.traceable and not streamed.traceable
  steps = range(2 * held.steps_per_epoch + 2)
  for ours, theirs in zip(run(streamed, steps), run(held, steps), strict=True):
    assert_equal(ours, theirs)
  shapes = jax.eval_shape(lambda: theirs)
  assert streamed.shapes == held.shapes == shapes


@pytest.mark.parametrize('steps', [[7, 8, 9, 10], [3, 3, 1, 0, 4], [14]])
def test_any_step_comes_after_any_other(both, steps):
  held, streamed = (stream(dataset.train) for dataset in both)
  assert_equal(run(streamed, steps), run(held, steps))


def test_a_part_that_is_held_out_stays_on_disk(both):
  (rest, held), (ours_rest, ours_held) = (dataset.hold_out(0.3, 0) for dataset in both)
  assert isinstance(ours_held, StreamedSplit)
  np.testing.assert_array_equal(ours_rest.spec.labels, rest.spec.labels)
  assert_equal(pixels(ours_held), pixels(held))
  assert_equal(pixels(ours_held.take(np.array([2, 0]))), pixels(held.take(np.array([2, 0]))))
  assert_equal(run(stream(ours_rest.train), range(6)), run(stream(rest.train), range(6)))


def test_an_evaluation_is_bit_identical(both):
  model = Plain(num_classes=4)
  network = Network(model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))), model)
  ours, theirs = (
    inference.logits(network, inference.eval_batches(dataset.test, Normalisation(MEAN, STD)))
    for dataset in both[::-1]
  )
  assert ours.shape == (9, 4) and ours.std() > 0
  np.testing.assert_array_equal(ours, theirs)


def test_blocks_are_read_anew_by_each_iteration(both):
  blocks = both[1].test.blocks(4)
  first, again = ([np.asarray(block) for block in blocks] for _ in range(2))
  assert len(first) == 3
  assert_equal(first, again)
  assert not first[2][1:].any()


# --- damage


@pytest.fixture
def apart(load, tmp_path):
  """A function that loads a dataset whose files a test may damage, and its training file."""
  archive = archives.write_tar(tmp_path / 'apart.tar.gz', archives.cifar_members(num_train=99))

  def load(limit=0):
    return data.load(
      'cifar100', directory=str(tmp_path), archive=str(archive), verify=False, limit=limit
    )

  load()
  [path] = tmp_path.glob('unverified*/*/*train*')
  return load, path


def spoil(path):
  """Overwrite the last two thirds of a file in place, so that an open reader sees it."""
  size = path.stat().st_size
  with path.open('r+b') as file:
    file.seek(size // 3)
    file.write(bytes(size - size // 3))


def test_damage_during_the_training_names_the_file(apart):
  load, path = apart
  blocks = iter(load().train.blocks(1))
  next(blocks)
  spoil(path)
  with pytest.raises(UserError) as raised:
    for _ in blocks:
      pass
  before, _, after = str(raised.value).partition(' is damaged (')
  assert before == str(path)
  assert after.endswith(f'); delete the folder {path.parent} and run again') and '\n' not in after


@pytest.mark.parametrize('change', [spoil, pathlib.Path.unlink, lambda path: path.write_bytes(b'')])
def test_damage_before_the_start_is_an_error_at_the_start(apart, change):
  load, path = apart
  change(path)
  with pytest.raises(UserError, match=r'-train\.array_record-.* is damaged .* and run again$'):
    load()


def test_a_file_with_too_many_records_is_refused_as_in_memory(apart):
  load, path = apart
  [test] = path.parent.glob('*test*')
  test.write_bytes(path.read_bytes())
  for limit in None, 0:
    with pytest.raises(UserError, match='test.array_record.* is damaged .it holds'):
      load(limit)


def test_a_tfrecord_cannot_be_streamed(apart):
  load, path = apart
  info = path.parent / 'dataset_info.json'
  info.write_text(info.read_text().replace('array_record', 'tfrecord'))
  with pytest.raises(UserError, match=r'is prepared as tfrecord, .* with `limit=None`'):
    load()
