"""Readers given random bytes, or good files damaged at random: they refuse, or read the same."""

import contextlib
import io
import pathlib

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pidkd_jax import data
from pidkd_jax.bundles import bundle, torch_import
from pidkd_jax.core import npz, registry
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.pipeline import resident_reader
from pidkd_jax.data.pipeline.example_reader import ExampleReader
from pidkd_jax.data.sources import tar_shards
from pidkd_jax.data.sources.cifar100 import Cifar100
from pidkd_jax.data.sources.tiny_imagenet import TinyImagenet
from pidkd_jax.data.tfds import preparation, records
from pidkd_jax.data.tfds.prepared_split import PreparedSplit
from pidkd_jax.report import run_folder
from tests.data import archives, test_tar_shards
from tests.mistakes import material
from tests.mistakes.damage import FEW, damaged
from tests.report import folders

CARD = {
  'dataset': {
    'name': 'toy',
    'class_names': ['a', 'b', 'c'],
    'image_shape': [8, 8, 3],
    'mean': [0.5] * 3,
    'std': [0.25] * 3,
  }
}


@contextlib.contextmanager
def refusing():
  """Lets the one error for the user pass, if it is one line."""
  try:
    yield
  except UserError as error:
    assert '\n' not in str(error)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('damage')


class Manager:
  """As TFDS's download manager, with the file at hand."""

  def __init__(self, path):
    self._path = path

  def download(self, _):
    return str(self._path)


WRITERS = {
  Cifar100: ('small.tar.gz', archives.write_tar, archives.cifar_members),
  TinyImagenet: ('small.zip', archives.write_zip, archives.tiny_members),
}


@pytest.mark.parametrize('builder', WRITERS)
def test_an_archive_is_read_or_refused(home, builder):
  name, write, members = WRITERS[builder]
  path = write(home / name, members())
  opened = builder(data_dir=str(home / 'tfds'))

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with refusing():
      for examples in opened._split_generators(Manager(path)).values():
        for _ in examples:
          pass

  check()


def test_a_shard_is_read_or_refused(home):
  path = test_tar_shards.shard(home / 'shard.tar', test_tar_shards.pairs('aabb'))

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with refusing():
      for file in tar_shards.read(path).paths:
        file.read_bytes()

  check()


@pytest.mark.parametrize('content', [b'', b'PK\x05\x06' + bytes(18), b'\x1f\x8b\x08' + bytes(20)])
@pytest.mark.parametrize('name', ['cifar100', 'tiny_imagenet'])
def test_the_whole_way_from_an_archive_ends_in_one_line(home, name, content):
  path = home / 'any'
  path.write_bytes(content)
  with pytest.raises(UserError, match='cannot be used'):
    data.load(name, directory=str(home / 'new'), archive=str(path), verify=False)
  assert not (home / 'new').exists()


def test_a_prepared_file_is_read_or_refused(home):
  archive = archives.write_tar(home / 'prepared.tar.gz', archives.cifar_members())
  directory = home / 'prepared'
  whole = data.load('cifar100', directory=str(directory), archive=str(archive), verify=False)
  [path] = directory.rglob('*train.array_record*')
  source = registry.find('dataset', 'pidkd_jax.data.sources', 'DATASETS', 'cifar100')
  opened, _ = preparation.prepare(source, str(directory), str(archive), False, 0, in_memory=True)

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with refusing():
      found = resident_reader.read_split(PreparedSplit(opened, 'train'))
      np.testing.assert_array_equal(found.images, whole.train.images)
      np.testing.assert_array_equal(found.labels, whole.train.labels)
    with refusing():
      stored = ExampleReader(PreparedSplit(opened, 'train'))
      stored.check()
      images, labels = stored.read(np.arange(len(whole.train)))
      np.testing.assert_array_equal(images, whole.train.images)
      np.testing.assert_array_equal(labels, whole.train.labels)

  check()


def test_a_tfrecord_is_read_or_refused(home):
  path = home / 'small.tfrecord'
  content = [b'hello', b'', bytes(300)]
  path.write_bytes(b''.join(map(framed, content)))
  assert list(records.tfrecord(str(path))) == content

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with contextlib.suppress(ValueError):  # What `read_split` expects of a reader.
      list(records.tfrecord(str(path)))

  check()


def framed(record):
  """A record of a tfrecord file: length, its sum, bytes, their sum."""
  length = len(record).to_bytes(8, 'little')
  return b''.join(part + checksum(part) for part in (length, record))


def checksum(part):
  return records.masked_crc32c(part).to_bytes(4, 'little')


@pytest.mark.parametrize('signed', [False, True])
@pytest.mark.parametrize('name', ['variables.npz', 'card.json', 'manifest.json'])
def test_a_bundle_is_loaded_or_refused(home, teacher, name, signed):
  folder = home / 'bundle'
  bundle.save(folder, teacher, CARD)
  path = folder / name

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    if signed and name != 'manifest.json':
      material.sign(folder)
    with refusing():
      found = bundle.load(folder)
      if name == 'variables.npz' or not signed:
        assert_same(found.network, teacher)

  check()


def assert_same(network, other):
  assert network.model == other.model
  assert jax.tree.structure(network.variables) == jax.tree.structure(other.variables)
  jax.tree.map(np.testing.assert_array_equal, network.variables, other.variables)


@given(st.lists(st.integers(-1, 2**62), max_size=3), st.sampled_from(['<f4', '<f8', '|O', '|S9']))
@FEW
def test_what_arrays_declare_is_not_believed(tmp_path_factory, shape, kind):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header, {'descr': kind, 'fortran_order': False, 'shape': tuple(shape)}
  )
  path = tmp_path_factory.getbasetemp() / 'declared.npz'
  archives.write_zip(path, {'a.npy': header.getvalue()})
  try:
    [array] = npz.read(path).values()
  except ValueError:
    return
  assert array.size == 0  # The file has no content beside the header.


@pytest.mark.parametrize(
  'name',
  [
    *('metrics.jsonl', 'teacher.json', 'bundles/pidkd-0/card.json', 'outputs/pidkd-0.npz'),
    'outputs/examples.npz',
  ],
)
def test_a_run_is_reported_or_refused(tmp_path, name):
  folder = folders.run(tmp_path / 'run', [folders.Label('pidkd', trials=(0,))], epochs=2)
  path = folder / name

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with refusing():
      for run in run_folder.find([folder])[0]:
        for trial in run.trials:
          _ = trial.outputs
        _ = run.examples

  check()


def test_a_checkpoint_is_read_or_refused(home):
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  path = pathlib.Path(home, 'small.pth')
  torch.save({'model': {'weight': torch.ones(3, 2), 'bias': torch.zeros(3)}, 'epoch': 3}, path)

  @FEW
  @given(damaged(path.read_bytes()))
  def check(content):
    path.write_bytes(content)
    with refusing():
      torch_import.read(path)

  check()
