"""Shards in the layout of WebDataset, as they are written by its users."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources import folder, tar_shards


def picture(level, kind='png'):
  """The bytes of an image of one colour."""
  file = io.BytesIO()
  Image.new('RGB', (8, 8), (level, 0, 0)).save(file, kind)
  return file.getvalue()


def shard(path, files, mode='w'):
  """Write a tar file of {name: content}."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with tarfile.open(path, mode) as tar:
    for name, content in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return path


def pairs(labels, kind='cls', start=0):
  """Images with labels in one of the two ways."""
  files = {}
  for number, label in enumerate(labels, start):
    files[f'{number:03}.png'] = picture(number)
    files[f'{number:03}.{kind}'] = (
      json.dumps({'label': label, 'width': 8}) if kind == 'json' else str(label)
    ).encode()
  return files


def told(found):
  """{split: {class: levels of its images}}."""
  return {
    split: {
      name: [Image.open(io.BytesIO(path.read_bytes())).getpixel((0, 0))[0] for path in paths]
      for name, paths in classes.items()
    }
    for split, classes in found.images.items()
  }


@pytest.fixture
def photos(tmp_path):
  shard(tmp_path / 'photos' / 'a-train-000.tar', pairs([10, 2]))
  shard(tmp_path / 'photos' / 'a-train-001.tar', pairs([2, 10], start=2))
  shard(tmp_path / 'photos' / 'a-val-000.tar', pairs([10, 2], 'json', start=4))
  return tmp_path / 'photos'


def test_shards_are_a_data_set_like_a_folder(photos, tmp_path):
  """Numbers are sorted by their value, and a shard's name tells its split."""
  loaded = data.load('image_folder', directory=str(tmp_path / 'tfds'), archive=str(photos))
  assert loaded.spec.class_names == ('2', '10')
  assert loaded.spec.source.endswith('photos, train and val, not scaled')
  for split, levels in (loaded.train, [[1, 2], [0, 3]]), (loaded.test, [[5], [4]]):
    for label, wanted in enumerate(levels):
      images = split.images[split.labels == label]
      np.testing.assert_array_equal(np.sort(images[:, 0, 0, 0]), wanted)
  [first, *_] = tar_shards.read(photos).paths
  assert str(first) == f'{photos}/a-train-000.tar/001.png'


def test_a_folder_may_name_the_split_and_a_file_the_classes(photos):
  wanted = told(tar_shards.read(photos))
  for path in photos.glob('*.tar'):
    part = 'train' if 'train' in path.name else 'Test'
    (photos / part).mkdir(exist_ok=True)
    path.rename(photos / part / f'{path.name[-5]}.tar')
  (photos / 'notes.txt').write_text('mine')
  assert tar_shards.are_shards(photos)
  assert told(tar_shards.read(photos)) == wanted
  names = [f'name {number}' for number in range(11)]
  (photos / 'classnames.txt').write_text('\n'.join(names))
  assert tar_shards.read(photos).class_names == ['name 2', 'name 10']
  (photos / 'classnames.txt').write_text('\n'.join(names[:10]))
  with pytest.raises(UserError, match='the labels 10 are no lines of the file of class names'):
    tar_shards.read(photos)


def test_a_shard_alone_is_split_at_random(tmp_path, caplog):
  files = pairs(['cat', 'dog'] * 5) | {'a/b.seg.png': picture(0), 'c.txt': b'', 'd.cls': b'cat'}
  path = shard(tmp_path / 'train-0.tar', files)
  found = tar_shards.read(path)
  assert [len(paths) for paths in found.images['train'].values()] == [4, 4]
  assert [len(paths) for paths in found.images['test'].values()] == [1, 1]
  assert '(.seg.png: 1, .txt: 1, labels without an image: 1)' in caplog.text
  assert found.name(found.paths[0]).startswith('train-0.tar/0')


def test_a_label_in_cls_goes_before_one_in_json_and_names_are_of_one_folder(tmp_path):
  files = pairs(['a', 'b'] * 2) | {f'{i:03}.json': b'{"label": "z"}' for i in range(4)}
  files |= {f'x/{name}': content for name, content in pairs(['c', 'c'], start=0).items()}
  found = tar_shards.read(shard(tmp_path / 'one.tar', files))
  assert found.class_names == ['a', 'b', 'c'] and len(found.paths) == 6


def test_a_label_belongs_to_its_image_however_their_paths_are_written(tmp_path):
  images, labels = (
    {name: content for name, content in pairs('aabb').items() if name.endswith(suffix)}
    for suffix in ('.png', '.cls')
  )
  files = images | {f'./{name}': content for name, content in labels.items()}
  assert tar_shards.read(shard(tmp_path / 'x.tar', files)).class_names == ['a', 'b']


def test_a_changed_label_or_image_is_another_data_set(tmp_path):
  digests = set()
  for labels, start in (('ab' * 4, 0), ('ba' * 4, 0), ('ab' * 4, 1), ('ab' * 4, 0)):
    path = shard(tmp_path / 'x.tar', pairs(labels, start=start))
    found = tar_shards.read(path)
    digests.add(found.sha256(found.contents()))
  assert len(digests) == 3


def test_a_tar_beside_folders_of_classes_does_not_make_shards_of_them(tmp_path):
  for part in 'train', 'test':
    for name in 'ab':
      path = tmp_path / 'photos' / part / name / '0.png'
      path.parent.mkdir(parents=True)
      path.write_bytes(picture(0))
  shard(tmp_path / 'photos' / 'backup.tar', pairs('ab'))
  assert not tar_shards.are_shards(tmp_path / 'photos')
  assert folder.scan(tmp_path / 'photos').class_names == ['a', 'b']


@pytest.mark.parametrize(
  'files, message',
  [
    ({}, 'x.tar holds no images'),
    (pairs('aabb') | {'z.png': b''}, r'1 images have no label: .*x.tar/z.png; put one beside each'),
    (pairs('aabb') | {'z.png': b'', 'z.json': b'{"a": 1}'}, '1 images have no label'),
    (pairs('aabb') | {'000.jpg': b''}, 'holds 000.png and 000.jpg; one image of a name is needed'),
    (pairs('aabb') | {'./000.png': b''}, r'holds 000.png and ./000.png; one image of a name is'),
    (pairs('aabb') | {'000.cls': b'\xff'}, '000.cls is no text; get it anew'),
    (pairs('aabb') | {'000.json': b'{'}, '000.json is no JSON'),
    (pairs('aabb') | {'000.json': b'[1]'}, 'the label in 000.json is neither a number nor a name'),
    (pairs('aabb') | {'000.cls': b'a\nb'}, 'the label in 000.cls is no line of text'),
    (pairs('aabb') | {'000.cls': b'a' * 2**21}, '000.cls declares 2,097,152 bytes, more than'),
    (pairs('aa'), 'has 1 classes; at least 2 are needed'),
    (pairs('ab'), 'a split needs 2 images of each class, and there is one of a, b'),
  ],
)
def test_shards_that_cannot_be_used_are_refused(tmp_path, files, message):
  path = shard(tmp_path / 'x.tar', files)
  with pytest.raises(UserError, match=message) as error:
    tar_shards.read(path)
  assert '\n' not in str(error.value)


def test_a_packed_or_damaged_shard_is_refused(tmp_path):
  packed = shard(tmp_path / 'packed' / 'x.tar.gz', pairs('aabb'), 'w:gz')
  assert tar_shards.are_shards(packed) and tar_shards.are_shards(packed.parent)
  with pytest.raises(UserError, match='x.tar.gz cannot be read in place; unpack it to .tar'):
    tar_shards.read(packed.parent)
  path = shard(tmp_path / 'x.tar', pairs('aabb'))
  whole = path.read_bytes()
  for damaged, message in (
    (whole[:700], 'truncated, damaged or of another format'),
    # tarfile takes a header that it cannot read for the end.
    (whole[:1024] + b'x' * 512 + whole[1536:], 'the header at byte 1,024 is damaged'),
    (b'text' * 300, 'truncated, damaged or of another format'),
  ):
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=f'archive {path} cannot be used: .*{message}'):
      tar_shards.read(path)


@pytest.mark.parametrize('size', ['-5', '274877906944'])
def test_a_file_of_another_size_than_its_bytes_is_refused(size, tmp_path):
  """As the sparse files of GNU tar are, in each of their formats."""
  info = tarfile.TarInfo('000.png')
  info.size = len(picture(0))
  info.pax_headers = {'GNU.sparse.map': '0,10', 'GNU.sparse.size': size}
  with tarfile.open(tmp_path / 'a.tar', 'w', format=tarfile.PAX_FORMAT) as tar:
    tar.addfile(info, io.BytesIO(picture(0)))
  with pytest.raises(UserError, match='a header is sparse'):
    tar_shards.read(tmp_path / 'a.tar')
