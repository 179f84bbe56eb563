"""tiny_imagenet, from small archives in its layout."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.features import image_feature

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources.tiny_imagenet import TinyImagenet
from tests.data.archives import jpeg, tiny_members, write_zip

ROOT = 'tiny-imagenet-200'


def load(directory, archive, **options):
  return data.load('tiny_imagenet', directory=str(directory), archive=str(archive), **options)


@pytest.fixture
def official(tmp_path, tiny_archive, make_official):
  make_official(tiny_archive)
  return load(tmp_path / 'tfds', tiny_archive)


def examples(tmp_path, split):
  """Return the stored examples of the prepared dataset, in the order of the files."""
  source = TinyImagenet(data_dir=str(tmp_path / 'tfds')).as_data_source(
    split, decoders={'image': tfds.decode.SkipDecoding()}
  )
  return list(source)


def test_round_trip(tmp_path, official):
  members = tiny_members()
  assert official.spec.name == 'tiny_imagenet'
  assert official.spec.class_names == ('n01', 'n02', 'n03')
  assert (official.spec.normalisation.mean[0], official.spec.normalisation.std[0]) == (
    0.4802,
    0.2770,
  )
  assert (len(official.train), len(official.test)) == (9, 6)
  folders = {'train': 'train/{wnid}/images', 'validation': 'val/images'}
  for split, arrays in ('train', official.train), ('validation', official.test):
    for row, example in enumerate(examples(tmp_path, split)):
      name, label = example['id'].decode(), example['label']
      folder = folders[split].format(wnid=f'n0{label + 1}')
      encoded = members[f'{ROOT}/{folder}/{name}']
      assert example['image'] == encoded  # Not encoded again.
      assert arrays.labels[row] == label
      if split == 'validation':
        assert label == int(name[4]) % 3  # val_<index>.JPEG, as the annotations say.
      image = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB'))
      np.testing.assert_array_equal(arrays.images[row], image)


def test_a_grayscale_jpeg_gives_three_equal_channels(tmp_path, official):
  ids = [example['id'].decode() for example in examples(tmp_path, 'train')]
  gray = official.train.images[ids.index('n02_0.JPEG')]
  assert gray.shape == (64, 64, 3) and np.ptp(gray) > 0
  np.testing.assert_array_equal(gray[..., :1].repeat(3, -1), gray)
  colour = official.train.images[ids.index('n02_1.JPEG')]
  assert (colour[..., 0] != colour[..., 1]).any()


def test_opencv_is_not_used_even_if_installed(tmp_path, tiny_archive, official, monkeypatch):
  def fail(*args, **kwargs):
    raise AssertionError('decoded by OpenCV')

  monkeypatch.setattr(image_feature, 'cv2', object())
  monkeypatch.setattr(image_feature.Image, 'decode_example_np', fail)
  again = load(tmp_path / 'tfds', tiny_archive)
  assert again.spec.fingerprint == official.spec.fingerprint


def test_an_archive_of_ones_own_has_its_own_classes(tmp_path, tiny_archive):
  spec = load(tmp_path / 'tfds', tiny_archive, verify=False).spec
  assert spec.name.startswith('unverified_small_') and spec.num_classes == 3
  assert spec.normalisation.mean != (0.4802, 0.4481, 0.3975)


def annotated(line):
  def apply(members):
    members[f'{ROOT}/val/val_annotations.txt'] = line

  return apply


def image(content):
  def apply(members):
    members[f'{ROOT}/train/n01/images/n01_1.JPEG'] = content

  return apply


def without(text):
  def apply(members):
    for name in [name for name in members if text in name]:
      del members[name]

  return apply


def renamed(members):
  members[f'{ROOT}/wnids.txt'] = b'n01\nn02\n'


def other_names(members):
  """Name files as people do; none of them may get lost."""
  folder = f'{ROOT}/train/n01/images'
  for old, new in ('n01_0.JPEG', 'é (1).jpg'), ('n01_1.JPEG', 'a b.Jpeg'), ('n01_2.JPEG', '+.JPG'):
    members[f'{folder}/{new}'] = members.pop(f'{folder}/{old}')


def test_the_names_of_images_do_not_matter(tmp_path):
  members = tiny_members()
  other_names(members)
  dataset = load(tmp_path / 'tfds', write_zip(tmp_path / 'x.zip', members), verify=False)
  assert np.bincount(dataset.train.labels).tolist() == [3, 3, 3]


def test_what_is_passed_over_is_counted(tmp_path, caplog):
  members = tiny_members()
  folder = f'{ROOT}/train/n01/images'
  for name in 'x.gif', 'y.gif', 'notes', '._z.JPEG':
    members[f'{folder}/{name}'] = b'?'
  members[f'{ROOT}/train/n01/loose.JPEG'] = b'?'
  members[f'{ROOT}/val/val_annotations.txt'] += b'gone.JPEG\tn01\n'
  archive = write_zip(tmp_path / 'x.zip', members)
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    load(tmp_path / 'tfds', archive, verify=False)
  assert caplog.messages == [
    f'{archive}: 5 members passed over that are no images of train or val (no suffix: 1, .JPEG: 1,'
    ' .gif: 2, hidden: 1)',
    f'{archive}: 1 images that val_annotations.txt names are not there, such as gone.JPEG',
  ]


def test_an_official_archive_is_read_without_a_word(tmp_path, tiny_archive, caplog):
  load(tmp_path / 'tfds', tiny_archive, verify=False)
  assert not [record for record in caplog.records if record.levelname == 'WARNING']


def test_all_bad_images_are_named_at_once(tmp_path):
  members = tiny_members()
  bad = [f'{ROOT}/train/n01/images/n01_1.JPEG', f'{ROOT}/val/images/val_3.JPEG']
  members |= dict.fromkeys(bad, b'hello')
  with pytest.raises(UserError) as error:
    load(tmp_path / 'tfds', write_zip(tmp_path / 'x.zip', members), verify=False)
  assert all(f'{name} is not a whole JPEG' in str(error.value) for name in bad)


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
  'spoil, message',
  [
    (without('wnids.txt'), f'it has no {ROOT}/wnids.txt'),
    (without('val_annotations.txt'), f'it has no {ROOT}/val/val_annotations.txt'),
    (without('/train/'), 'it has no train images'),
    (without('/val/images'), 'it has no validation images'),
    (without('/n02/images/'), 'it has no train images of n02'),
    (renamed, 'has the label n03, which wnids.txt does not name'),
    (annotated(b'val_0.JPEG\tn01\n'), f'does not say the label of {ROOT}/val/images/val_1.JPEG'),
    (image(b'no jpeg'), 'n01_1.JPEG is not a whole JPEG'),
    (image(jpeg(RANDOM)[:-200]), 'n01_1.JPEG is not a whole JPEG'),
    (image(jpeg(RANDOM, size=(32, 64))), 'n01_1.JPEG is 32x64 pixels, not 64x64'),
    (image(bytes(2**19)), 'n01_1.JPEG declares 524,288 bytes'),
  ],
)
def test_wrong_contents_are_refused_and_leave_nothing(tmp_path, spoil, message):
  members = tiny_members()
  spoil(members)
  refused(tmp_path, write_zip(tmp_path / 'bad.zip', members), message)


@pytest.mark.parametrize(
  'damage',
  [
    lambda whole: b'',
    lambda whole: b'hello',
    lambda whole: whole[:-1000],
    lambda whole: whole[:5000] + bytes(50) + whole[5050:],
  ],
)
def test_a_damaged_file_is_refused_and_leaves_nothing(tmp_path, tiny_archive, damage):
  tiny_archive.write_bytes(damage(tiny_archive.read_bytes()))
  refused(tmp_path, tiny_archive, 'truncated, damaged or of another format')


def refused(tmp_path, archive, message):
  """Check for one line that names the archive; no files remain; a good archive works afterwards."""
  directory = tmp_path / 'tfds'
  with pytest.raises(UserError) as error:
    load(directory, archive, verify=False)
  assert message in str(error.value) and str(archive) in str(error.value)
  assert '\n' not in str(error.value)
  assert not [file for file in directory.rglob('*') if file.is_file()]
  assert not list(directory.rglob('incomplete*'))
  write_zip(archive, tiny_members())
  assert len(load(directory, archive, verify=False).train) == 9


def test_real_images(tmp_path, shared):
  archive = shared / 'data/tiny-imagenet-200-mini.zip'
  dataset = load(tmp_path / 'tfds', archive, verify=False)
  assert dataset.spec.num_classes == 200
  assert np.bincount(dataset.train.labels).tolist() == [15] * 200
  assert np.bincount(dataset.test.labels).tolist() == [5] * 200
  grey = (dataset.train.images == dataset.train.images[..., :1]).all((1, 2, 3))
  with zipfile.ZipFile(archive) as zipped:
    modes = [
      Image.open(io.BytesIO(zipped.read(name))).mode
      for name in zipped.namelist()
      if '/train/' in name and name.endswith('.JPEG')
    ]
  assert modes.count('L') == 49 and grey.sum() >= 49
  # Close to the published statistics of the whole set.
  np.testing.assert_allclose(dataset.spec.normalisation.mean, (0.4802, 0.4481, 0.3975), atol=0.01)
  np.testing.assert_allclose(dataset.spec.normalisation.std, (0.2770, 0.2691, 0.2821), atol=0.01)
