"""tfrecord files, written here as the format's definition says."""

import json
import shutil
import struct
import sys

import numpy as np
import pytest

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.tfds import records
from tests import small


def masked(payload):
  """Compute the masked CRC-32C of some bytes, bit by bit."""
  crc = 0xFFFFFFFF
  for byte in payload:
    crc ^= byte
    for _ in range(8):
      crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
  crc ^= 0xFFFFFFFF
  return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload):
  length = struct.pack('<Q', len(payload))
  return length + struct.pack('<I', masked(length)) + payload + struct.pack('<I', masked(payload))


def test_the_checksum_is_the_published_one():
  # RFC 3720 B.4: 32 zero bytes give 8A9136AA.
  unmasked = 0x8A9136AA
  expected = ((unmasked >> 15 | unmasked << 17) + 0xA282EAD8) & 0xFFFFFFFF
  assert records.masked_crc32c(bytes(32)) == expected == masked(bytes(32))


def test_records_of_any_length_come_back(tmp_path):
  random = np.random.default_rng(0)
  payloads = [random.bytes(size) for size in (0, 1, 300, 7, 299, 2)] * 200
  file = tmp_path / 'x.tfrecord'
  file.write_bytes(b''.join(map(frame, payloads)))
  assert list(records.tfrecord(str(file))) == payloads


@pytest.mark.parametrize(
  'damage, message',
  [
    (lambda whole: whole[:-1], 'ends within'),
    (lambda whole: whole[:-30], 'ends within'),
    (lambda whole: whole + b'\0', 'ends within'),
    (lambda whole: b'\xff' * 8 + whole[8:], 'checksum'),
    (lambda whole: whole[:20] + bytes([whole[20] ^ 1]) + whole[21:], 'checksum'),
    (lambda whole: whole[:9] + bytes([whole[9] ^ 1]) + whole[10:], 'checksum'),
  ],
)
def test_damage_is_noticed(tmp_path, damage, message):
  file = tmp_path / 'x.tfrecord'
  file.write_bytes(damage(frame(b'some bytes') + frame(b'some other bytes')))
  with pytest.raises(ValueError, match=message):
    list(records.tfrecord(str(file)))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """A folder with few digits as array_record, and with the same records as tfrecord."""
  home = tmp_path_factory.mktemp('digits')
  small.digits(home / 'a')
  source, target = home / 'a/digits/1.0.0', home / 't/digits/1.0.0'
  target.mkdir(parents=True)
  for file in source.glob('[!.]*'):
    if file.suffix in ('.json', '.txt'):
      shutil.copy(file, target)
    else:
      payloads = records.array_record(str(file))
      name = file.name.replace('array_record', 'tfrecord')
      (target / name).write_bytes(b''.join(map(frame, payloads)))
  info = json.loads((target / 'dataset_info.json').read_text())
  info['fileFormat'] = 'tfrecord'
  (target / 'dataset_info.json').write_text(json.dumps(info))
  return home


@pytest.fixture
def prepared(made, tmp_path):
  """A copy of both; returns the folder of the tfrecord files."""
  shutil.copytree(made, tmp_path, dirs_exist_ok=True)
  return tmp_path / 't/digits/1.0.0'


def test_a_dataset_prepared_as_tfrecord_is_the_same(prepared, tmp_path):
  array_record = data.load('digits', directory=str(tmp_path / 'a'))
  tfrecord = data.load('digits', directory=str(tmp_path / 't'))
  np.testing.assert_array_equal(tfrecord.train.images, array_record.train.images)
  np.testing.assert_array_equal(tfrecord.test.labels, array_record.test.labels)
  assert tfrecord.spec.fingerprint == array_record.spec.fingerprint


def test_without_array_record_tfrecord_is_read_and_the_other_names_the_package(
  prepared, tmp_path, monkeypatch
):
  del prepared
  hidden = [name for name in sys.modules if name.partition('.')[0] == 'array_record']
  for name in ('array_record', *hidden):
    monkeypatch.setitem(sys.modules, name, None)
  assert len(data.load('digits', directory=str(tmp_path / 't')).test)
  with pytest.raises(
    UserError,
    match=r"^reading array_record files needs array_record: pip install 'pidkd_jax\[train",
  ):
    data.load('digits', directory=str(tmp_path / 'a'))


def cut(file):
  file.write_bytes(file.read_bytes()[:-100])


def empty(file):
  file.write_bytes(b'')


def double(file):
  file.write_bytes(file.read_bytes() * 2)


def drop_one(file):
  content = file.read_bytes()
  [length] = struct.unpack_from('<Q', content)
  file.write_bytes(content[length + 16 :])


@pytest.mark.parametrize(
  'folder, damage',
  [
    ('a', cut),
    ('a', empty),
    ('a', lambda file: file.unlink()),
    ('t', cut),
    ('t', empty),
    ('t', lambda file: file.unlink()),
    ('t', double),
    ('t', drop_one),
  ],
)
def test_a_damaged_prepared_file_is_named_with_the_remedy(prepared, tmp_path, folder, damage):
  del prepared
  [file] = (tmp_path / folder / 'digits/1.0.0').glob('digits-train.*')
  damage(file)
  with pytest.raises(UserError) as error:
    data.load('digits', directory=str(tmp_path / folder))
  message = str(error.value)
  assert '\n' not in message and str(file) in message
  assert f'delete the folder {file.parent} and run again' in message


@pytest.mark.parametrize(
  'damage',
  [
    lambda folder: (folder / 'dataset_info.json').unlink(),
    lambda folder: (folder / 'dataset_info.json').write_text('{"name": "dig'),
    lambda folder: (folder / 'dataset_info.json').write_text('{"version": "9.9.9"}'),
    lambda folder: (folder / 'dataset_info.json').write_text('{"version": "1.0.0"}'),
  ],
)
def test_a_damaged_info_is_named_with_the_remedy(prepared, tmp_path, damage):
  damage(prepared)
  with pytest.raises(UserError) as error:
    data.load('digits', directory=str(tmp_path / 't'))
  message = str(error.value)
  assert '\n' not in message and f'{prepared}' in message and 'delete that folder' in message


def test_another_format_is_refused(prepared, tmp_path):
  info = json.loads((prepared / 'dataset_info.json').read_text())
  info['fileFormat'] = 'riegeli'
  (prepared / 'dataset_info.json').write_text(json.dumps(info))
  with pytest.raises(UserError, match='as array_record or tfrecord; delete that folder'):
    data.load('digits', directory=str(tmp_path / 't'))
