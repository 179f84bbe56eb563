"""cifar100, from small archives in its format."""

import dataclasses
import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import compute_url_info
from tensorflow_datasets.core.hashing import Hasher

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import loading
from pidkd_jax.data.sources import cifar_pickle
from pidkd_jax.data.sources.cifar100 import Cifar100
from tests.data.archives import cifar_members, write_tar

PREFIX = 'cifar-100-binary'


def load(directory, archive, **options):
  return data.load('cifar100', directory=str(directory), archive=str(archive), **options)


def pixels(members, split):
  """Return the {(label, bytes of the image, uint8 [32, 32, 3])} that the format defines."""
  records = np.frombuffer(members[f'{PREFIX}/{split}.bin'], np.uint8).reshape(-1, 3074)
  images = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
  return {(label, image.tobytes()) for label, image in zip(records[:, 1], images, strict=True)}


def test_round_trip(tmp_path, cifar_archive):
  dataset = load(tmp_path / 'tfds', cifar_archive, verify=False)
  members = cifar_members()
  for split, arrays in ('train', dataset.train), ('test', dataset.test):
    assert arrays.images.dtype == np.uint8 and arrays.labels.dtype == np.int32
    examples = {
      (label, image.tobytes()) for label, image in zip(arrays.labels, arrays.images, strict=True)
    }
    assert examples == pixels(members, split) and len(arrays) == len(examples)
  spec = dataset.spec
  assert spec.class_names == ('fine_0', 'fine_1', 'fine_2', 'fine_3')
  assert (spec.num_classes, spec.num_examples, spec.image_shape) == (4, 12, (32, 32, 3))
  assert (spec.padding, spec.flip) == (4, True)
  # Published statistics are those of the official images, not of these.
  np.testing.assert_allclose(spec.normalisation.mean, (dataset.train.images / 255).mean((0, 1, 2)))


def pickled(members):
  """Return {member: bytes} of the same images in the format of CIFAR's Python version."""
  splits = {}
  for split in 'train', 'test':
    table = np.frombuffer(members[f'{PREFIX}/{split}.bin'], np.uint8).reshape(-1, 3074)
    splits[split] = {
      b'filenames': [b'a.png'] * len(table),
      b'fine_labels': table[:, 1].tolist(),
      b'coarse_labels': table[:, 0].tolist(),
      b'data': np.ascontiguousarray(table[:, 2:]),
    }
  splits['meta'] = {
    f'{kind}_label_names'.encode(): members[f'{PREFIX}/{kind}_label_names.txt'].split()
    for kind in ('fine', 'coarse')
  }
  # As numpy 1 wrote them, under Python 2.
  return {
    f'cifar-100-python/{name}': pickle.dumps(entries, protocol=2).replace(
      b'numpy._core', b'numpy.core'
    )
    for name, entries in splits.items()
  }


def test_the_python_version_gives_the_same_images(tmp_path, cifar_archive):
  path = write_tar(tmp_path / 'python.tar.gz', pickled(cifar_members()))
  binary, python = (
    load(tmp_path / 'tfds', archive, verify=False) for archive in (cifar_archive, path)
  )
  assert python.spec.fingerprint == binary.spec.fingerprint
  assert python.spec.class_names == binary.spec.class_names
  assert python.spec.name.startswith('unverified_python_')


class Malicious:
  def __init__(self, folder):
    self.folder = folder

  def __reduce__(self):
    return os.mkdir, (str(self.folder),)


def test_the_official_archive_of_the_python_version_is_official_too(tmp_path, monkeypatch):
  archive, directory = write_tar(tmp_path / 'mine.tar.gz', pickled(cifar_members())), tmp_path / 'd'
  [known] = loading._source('cifar100').also
  measured = dataclasses.replace(compute_url_info(archive), filename=known.filename)
  official = dataclasses.replace(loading._source('cifar100'), also=(measured,))
  monkeypatch.setattr(loading, '_source', lambda name: official)
  spec = load(directory, archive).spec
  assert spec.name == 'cifar100' and spec.normalisation.mean == (0.5071, 0.4867, 0.4408)
  shutil.rmtree(directory / 'cifar100')
  manual = directory / 'downloads/manual'
  manual.mkdir(parents=True)
  archive.rename(manual / 'cifar-100-python.tar.gz')
  assert load(directory, '').spec.fingerprint == spec.fingerprint


@pytest.mark.parametrize(
  'changes, message',
  [
    ({b'data': np.zeros((12, 3072), np.int64)}, "it has an array of 'i8' and not of bytes"),
    ({b'data': np.zeros((12, 9), np.uint8)}, 'not labels and images of 32x32'),
    ({b'data': np.array([{}] * 12)}, 'not of bytes'),
    ({b'data': None}, 'not labels and images'),
    ({b'fine_labels': [0]}, 'not labels and images'),
    ({b'fine_labels': ['a'] * 12}, 'not labels and images'),
    ({b'fine_labels': [3000] * 12}, 'not labels and images'),
    ({b'fine_labels': [[0] * 9] * 12}, 'labels are no list of numbers'),
    ({b'coarse_labels': np.ndarray}, 'not labels and images'),
    ({b'x': os.getcwd}, 'it names code'),
  ],
)
def test_other_pickles_are_refused(tmp_path, changes, message):
  members = pickled(cifar_members())
  members |= {
    name: pickle.dumps(pickle.loads(content, encoding='bytes') | changes, protocol=2)
    for name, content in members.items()
    if name.endswith('train')
  }
  with pytest.raises(UserError, match=f'cifar-100-python/train is .*{message}') as error:
    load(tmp_path / 'tfds', write_tar(tmp_path / 'python.tar.gz', members), verify=False)
  assert '\n' not in str(error.value)


def test_code_in_a_pickle_never_runs(tmp_path):
  made = tmp_path / 'made'
  members = pickled(cifar_members())
  members['cifar-100-python/train'] = pickle.dumps({b'data': Malicious(made)}, protocol=2)
  with pytest.raises(UserError, match=r'it names code \(posix.mkdir\)'):
    load(tmp_path / 'tfds', write_tar(tmp_path / 'python.tar.gz', members), verify=False)
  assert not made.exists()


# The last asks for room for two thousand million entries of a memo; the one before for an array.
HOSTILE = [
  b'',
  b'\x80\x02',
  b'hello',
  b'\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x40\x85R.',
  b'\x80\x02}r\xff\xff\xff\x7f.',
]


def test_lists_that_name_each_other_are_not_unfolded():
  """Ten lists of ten references each would be 10^10 numbers."""
  nested = 0
  for _ in range(10):
    nested = [nested] * 10
  planes = np.zeros((1, 3072), np.uint8)
  content = pickle.dumps({b'coarse_labels': nested, b'fine_labels': nested, b'data': planes}, 2)
  assert len(content) < 5000
  with pytest.raises(ValueError, match='labels are no list of numbers'):
    cifar_pickle.records(content)


@pytest.mark.parametrize('content', HOSTILE)
def test_a_hostile_pickle_takes_no_memory(content):
  with pytest.raises(ValueError):
    cifar_pickle.records(content)


def test_it_is_what_the_official_builder_declares_and_opens(tmp_path, make_official):
  members = cifar_members(num_fine=100, num_coarse=20, num_train=120, num_test=30)
  archive = write_tar(tmp_path / 'mine.tar.gz', members)
  make_official(archive)
  directory = tmp_path / 'tfds'
  dataset = load(directory, archive)
  assert dataset.spec.name == 'cifar100' and dataset.spec.normalisation.mean == (
    0.5071,
    0.4867,
    0.4408,
  )
  assert dataset.spec.normalisation.std == (0.2675, 0.2565, 0.2761)

  official = tfds.builder('cifar100', data_dir=directory)
  ours = Cifar100(data_dir=str(directory))
  assert type(official) is tfds.image_classification.Cifar100 and official.is_prepared()
  assert (ours.name, ours.version, ours.data_dir) == (
    official.name,
    official.version,
    official.data_dir,
  )
  assert repr(ours.info.features) == repr(
    tfds.image_classification.Cifar100(data_dir=tmp_path / 'empty').info.features
  )
  assert official.info.features['coarse_label'].int2str(3) == 'coarse_3'

  for split, arrays in ('train', dataset.train), ('test', dataset.test):
    examples = list(official.as_data_source(split))
    # TFDS orders by the hash of the key, which officially is the record's place in its file.
    order = sorted(range(len(examples)), key=Hasher(split).hash_key)
    assert [example['id'].decode() for example in examples] == [
      f'{split}_{index:05d}' for index in order
    ]
    np.testing.assert_array_equal([example['label'] for example in examples], arrays.labels)
    np.testing.assert_array_equal([example['image'] for example in examples], arrays.images)

  reopened = tfds.builder_from_directory(official.data_dir)
  assert len(reopened.as_data_source('train')) == 120


def test_a_leading_dot_in_the_names_is_allowed(tmp_path):
  members = {f'./{name}': content for name, content in cifar_members().items()}
  archive = write_tar(tmp_path / 'dotted.tgz', members)
  assert len(load(tmp_path / 'tfds', archive, verify=False).train) == 12


def without(name):
  return lambda members: members.pop(f'{PREFIX}/{name}')


def replaced(name, change):
  def apply(members):
    members[f'{PREFIX}/{name}'] = change(members[f'{PREFIX}/{name}'])

  return apply


@pytest.mark.parametrize(
  'spoil, message',
  [
    (without('test.bin'), 'it has no cifar-100-binary/test.bin'),
    (without('fine_label_names.txt'), 'it has no cifar-100-binary/fine_label_names.txt'),
    (replaced('train.bin', lambda data: data[:-1]), 'train.bin has 36,887 bytes, not some whole'),
    (replaced('test.bin', lambda data: b''), 'test.bin has 0 bytes'),
    (replaced('test.bin', lambda data: data[:1] + b'\x04' + data[2:]), 'label 4, but 4 are named'),
    (replaced('train.bin', lambda data: b'\x63' + data[1:]), 'coarse_label 99, but 2 are named'),
    (replaced('fine_label_names.txt', lambda data: b'\n \n'), 'empty or names a class twice'),
    (replaced('fine_label_names.txt', lambda data: b'a\na\nb\nc'), 'empty or names a class twice'),
    (replaced('coarse_label_names.txt', lambda data: b'\xff\xfe'), 'not UTF-8'),
  ],
)
def test_wrong_contents_are_refused_and_leave_nothing(tmp_path, spoil, message):
  members = cifar_members()
  spoil(members)
  archive = write_tar(tmp_path / 'bad.tar.gz', members)
  refused(tmp_path, archive, message)


@pytest.mark.parametrize(
  'damage',
  [
    lambda whole: b'',
    lambda whole: b'hello',
    lambda whole: whole[: len(whole) // 2],
    lambda whole: whole[:-5000],
    lambda whole: whole[:3000] + bytes(100) + whole[3100:],
  ],
)
def test_a_damaged_file_is_refused_and_leaves_nothing(tmp_path, cifar_archive, damage):
  cifar_archive.write_bytes(damage(cifar_archive.read_bytes()))
  refused(tmp_path, cifar_archive, 'truncated, damaged or of another format')


def test_an_enormous_member_is_refused_by_its_header(tmp_path):
  archive = tmp_path / 'bomb.tar.gz'
  info = tarfile.TarInfo(f'{PREFIX}/train.bin')
  info.size = 2**40
  with tarfile.open(archive, 'w:gz') as tar:
    tar.fileobj.write(info.tobuf())
  refused(tmp_path, archive, 'declares 1,099,511,627,776 bytes')


@pytest.mark.parametrize('kind', [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_gigabytes_is_refused_by_its_header(kind, tmp_path):
  archive = tmp_path / 'name.tar.gz'
  info = tarfile.TarInfo(f'{PREFIX}/train.bin')
  info.type, info.size = kind, 2**31
  with tarfile.open(archive, 'w:gz') as tar:
    tar.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))
    tar.fileobj.write(bytes(2**20))
  refused(tmp_path, archive, 'a header declares a name of 2,147,483,648 bytes')


@pytest.mark.parametrize(
  'header',
  [
    {'size': -512},
    {'pax_headers': {'size': '-1536'}},
    {'type': tarfile.GNUTYPE_LONGNAME, 'size': -1024},
  ],
)
def test_a_negative_size_is_not_read_for_ever(header, tmp_path):
  archive = tmp_path / 'negative.tar.gz'
  info = tarfile.TarInfo('a.txt')
  for name, value in header.items():
    setattr(info, name, value)
  form = tarfile.PAX_FORMAT if 'pax_headers' in header else tarfile.GNU_FORMAT
  with tarfile.open(archive, 'w:gz') as tar:
    tar.fileobj.write(info.tobuf(form))
    tar.fileobj.write(bytes(2**12))
  refused(tmp_path, archive, 'a header declares -')


def test_a_link_is_not_followed(tmp_path):
  members = cifar_members()
  members.pop(f'{PREFIX}/test.bin')
  archive = tmp_path / 'link.tar.gz'
  with tarfile.open(archive, 'w:gz') as tar:
    link = tarfile.TarInfo(f'{PREFIX}/test.bin')
    link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
    tar.addfile(link)
    for name, content in members.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  refused(tmp_path, archive, 'it has no cifar-100-binary/test.bin')


def refused(tmp_path, archive, message):
  """Check for one line that names the archive; no files remain; a good archive works afterwards."""
  directory = tmp_path / 'tfds'
  with pytest.raises(UserError) as error:
    load(directory, archive, verify=False)
  assert message in str(error.value) and str(archive) in str(error.value)
  assert '\n' not in str(error.value)
  assert not [file for file in directory.rglob('*') if file.is_file()]
  assert not list(directory.rglob('incomplete*'))
  write_tar(archive, cifar_members())
  assert len(load(directory, archive, verify=False).train) == 12


def test_real_photographs(tmp_path, shared):
  archive = tmp_path / 'tin100.tar.gz'
  subprocess.run(
    [
      sys.executable,
      shared / 'tools/make_cifar100_archive.py',
      archive,
      '--classes',
      '3',
      '--train-per-class',
      '20',
      '--test-per-class',
      '10',
    ],
    check=True,
    capture_output=True,
  )
  dataset = load(tmp_path / 'tfds', archive, verify=False)
  assert np.bincount(dataset.train.labels).tolist() == [20] * 3
  assert np.bincount(dataset.test.labels).tolist() == [10] * 3
  # Neighbouring pixels of a photograph are alike: planes and rows are where they belong.
  across = np.abs(np.diff(dataset.train.images.astype(int), axis=2)).mean()
  assert across < 0.5 * np.abs(np.diff(dataset.train.images.astype(int), axis=0)).mean()
