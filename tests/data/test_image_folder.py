"""image_folder, from small folders of made-up images."""

import errno
import hashlib
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax import data
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources import image_folder, unlabelled_folder

# Out of order, as a file system may list them.
CLASSES = ('zebra', 'Ant', 'cat', '10')


def colour(split, name, index):
  """Return a colour that no other image has."""
  return (50 * CLASSES.index(name), 20 * index, 100 if split == 'train' else 200)


def save(path, colour, size=(16, 16)):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('RGB', size, colour).save(path)
  return path


@pytest.fixture
def photos(tmp_path):
  """Three train and two test images of four classes, 16x16, each of one colour."""
  root = tmp_path / 'My Photos'
  for split, count in ('train', 3), ('test', 2):
    for name in CLASSES:
      for index in range(count):
        save(root / split / name / f'{index}.png', colour(split, name, index))
  return root


@pytest.fixture
def directory(tmp_path):
  return tmp_path / 'tfds'


def load(directory, folder, **options):
  return data.load('image_folder', directory=str(directory), archive=str(folder), **options)


def test_round_trip(directory, photos):
  dataset = load(directory, photos)
  spec = dataset.spec
  assert spec.class_names == ('10', 'Ant', 'cat', 'zebra')
  assert (spec.format, spec.archive, spec.image_size) == ('image_folder', str(photos), 0)
  assert (spec.image_shape, spec.padding, spec.flip) == ((16, 16, 3), 2, True)
  assert spec.source == "the user's own images: My Photos, train and test, not scaled"
  for split, arrays in ('train', dataset.train), ('test', dataset.test):
    count = {'train': 3, 'test': 2}[split]
    assert np.bincount(arrays.labels).tolist() == [count] * 4
    colours = {
      (spec.class_names[label], *image[0, 0])
      for image, label in zip(arrays.images, arrays.labels, strict=True)
    }
    assert colours == {
      (name, *colour(split, name, index)) for name in CLASSES for index in range(count)
    }
    assert (arrays.images == arrays.images[:, :1, :1]).all()


def test_statistics_are_those_of_the_train_split(directory, photos):
  spec = load(directory, photos).spec
  # Red goes by class over 0, 50, 100, 150 and green by image over 0, 20, 40; blue is always 100,
  # and is to be divided by 1.
  np.testing.assert_allclose(np.multiply(spec.normalisation.mean, 255), (75, 20, 100))
  np.testing.assert_allclose(spec.normalisation.std, (3125**0.5 / 255, (800 / 3) ** 0.5 / 255, 1))


def test_images_are_brought_to_one_size(directory, photos):
  # Three bands, of which the middle one is kept.
  bands = np.repeat(np.uint8([10, 90, 210]), 20)
  Image.fromarray(np.tile(bands[:, None], (1, 20))).save(photos / 'train/cat/bands.png')
  save(photos / 'train/cat/wide.jpg', (90, 90, 90), size=(100, 40))
  dataset = load(directory, photos, image_size=8)
  spec = dataset.spec
  assert (spec.image_shape, spec.padding, spec.image_size) == ((8, 8, 3), 1, 8)
  assert spec.source.endswith('My Photos, train and test, scaled and cut to 8x8')
  # What an evaluation needs to bring the images to that size again.
  assert bundle.dataset_card(spec, spec.normalisation)['image_size'] == 8
  ids = [
    example['id'].decode()
    for example in tfds.builder_from_directory(directory / spec.name / '1.0.0').as_data_source(
      'train', decoders={'image': tfds.decode.SkipDecoding()}
    )
  ]
  assert len(ids) == 14 and 'train/Ant/2.png' in ids
  image = dataset.train.images[ids.index('train/cat/bands.png')]
  # The outermost rows see a little of their neighbours outside of the square.
  assert (image[1:-1] == 90).all()
  np.testing.assert_allclose(dataset.train.images[ids.index('train/cat/wide.jpg')], 90, atol=2)


def test_images_of_one_size_need_not_be_square(directory, tmp_path):
  for split in 'train', 'test':
    for name in 'ab':
      save(tmp_path / 'wide' / split / name / '0.bmp', (1, 2, 3), size=(32, 16))
  spec = load(directory, tmp_path / 'wide').spec
  assert (spec.image_shape, spec.padding) == ((16, 32, 3), 2)


@pytest.mark.parametrize('name', ['val', 'validation'])
def test_the_test_split_may_have_another_name(directory, photos, name):
  (photos / 'test').rename(photos / name)
  dataset = load(directory, photos)
  assert len(dataset.test) == 8 and f'train and {name},' in dataset.spec.source


@pytest.mark.parametrize('flat', ['test/0.png', 'test/images/0.png', 'test/@eaDir/0.png'])
def test_the_split_that_has_classes_is_taken(directory, photos, flat, caplog):
  (photos / 'test').rename(photos / 'val')
  save(photos / flat, (0, 0, 0))
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    dataset = load(directory, photos)
  assert len(dataset.test) == 8 and 'train and val,' in dataset.spec.source
  assert f'{photos}/test holds no class of train; the test images are those of' in caplog.text


def test_a_validation_split_beside_test_is_not_read(directory, photos):
  save(photos / 'val/other/0.png', (0, 0, 0))
  assert load(directory, photos).spec.num_classes == 4


def test_train_may_have_more_classes_than_test(directory, photos):
  shutil.rmtree(photos / 'test/cat')
  dataset = load(directory, photos)
  assert dataset.spec.num_classes == 4 and 2 not in dataset.test.labels


def test_other_entries_are_passed_over_and_counted(directory, photos, caplog):
  before = load(directory, photos).spec
  for name in 'train/labels.csv', 'train/cat/notes.txt', 'train/cat/.hidden.png', 'test/.DS_Store':
    (photos / name).write_text('no image')
  (photos / 'train/.ipynb_checkpoints').mkdir()
  (photos / 'train/cat/deeper.png').mkdir()
  (photos / 'readme.txt').write_text('of no split')
  with caplog.at_level('INFO', logger='pidkd_jax'):
    after = load(directory, photos).spec
  assert (after.name, after.fingerprint) == (before.name, before.fingerprint)
  assert caplog.messages == [
    f'{photos}: 6 entries passed over that are no images by their suffix (.csv: 1, .txt: 1,'
    ' folders: 1, hidden: 3)'
  ]


def test_junk_folders_are_no_classes(directory, photos):
  before = load(directory, photos).spec
  for name in 'train/__pycache__', 'train/@eaDir', 'test/@eaDir', 'test/__MACOSX':
    save(photos / name / 'thumbnail.png', (0, 0, 0))
  after = load(directory, photos).spec
  assert (after.class_names, after.fingerprint) == (before.class_names, before.fingerprint)


def test_all_empty_classes_are_named(directory, photos):
  for name in 'train/lynx', 'train/owl':
    (photos / name).mkdir()
  with pytest.raises(UserError) as error:
    load(directory, photos)
  for name in 'train/lynx', 'train/owl':
    assert str(photos / name) in str(error.value)
  assert 'have no images' in str(error.value)


def test_a_class_without_test_images_is_named(directory, photos, caplog):
  emptied('test/cat')(photos)
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    dataset = load(directory, photos)
  assert dataset.spec.num_classes == 4 and 2 not in dataset.test.labels
  assert caplog.messages == [f'{photos}/test/cat has no images; nothing is tested on this class']


def test_all_bad_images_are_named_at_once(directory, photos):
  bad = ['train/cat/1.png', 'train/zebra/2.png', 'test/cat/0.png']
  for name in bad:
    (photos / name).write_bytes(b'hello')
  with pytest.raises(UserError) as error:
    load(directory, photos)
  assert all(f'{photos / name} is not a whole JPEG' in str(error.value) for name in bad)
  assert str(error.value).startswith('3 images cannot be used: ')
  assert '\n' not in str(error.value) and not list(directory.rglob('incomplete*'))


def test_8_bit_data_in_16_bit_files_are_seen(directory, photos, caplog):
  wide = np.uint16([[9, 99], [199, 250]]).repeat(8, 0).repeat(8, 1)
  Image.fromarray(wide).save(photos / 'train/cat/0.png')
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    dataset = load(directory, photos)
  assert dataset.train.images.max() == 250 and 'need 8 bits' in caplog.text
  assert dataset.spec.bits == 8
  assert bundle.dataset_card(dataset.spec, dataset.spec.normalisation)['bits'] == 8
  assert dataset.spec.source.endswith(', not scaled, values of 16-bit images taken as 8 bits')
  # With a brighter one beside it, all have 16 bits, and this one is dark.
  Image.fromarray(wide * 256).save(photos / 'train/cat/1.png')
  other = load(directory, photos)
  assert sorted(image.max() for image in other.train.images if np.ptp(image) in (0, 241)) == [
    0,
    250,
  ]


def test_equal_files_in_both_splits_or_two_classes_are_named(photos, caplog):
  def said():
    caplog.clear()
    image_folder.bind(photos, 0, True)
    return caplog.messages

  assert said() == []
  for index in range(4):
    shutil.copy(photos / 'train/cat/1.png', photos / f'test/cat/copy_{index}.png')
  assert said() == [
    f'{photos}: 4 of the 12 test images are training images, byte by byte (test/cat/copy_0.png is'
    ' train/cat/1.png, test/cat/copy_1.png is train/cat/1.png, test/cat/copy_2.png is'
    ' train/cat/1.png and 1 more); networks that train on them look better than they are, so'
    ' remove one of each'
  ]
  for path in photos.glob('test/cat/copy_*'):
    path.unlink()
  shutil.copy(photos / 'train/cat/1.png', photos / 'train/10/copy.png')
  assert said() == [
    f'{photos}: 1 images are in another class too, byte by byte (train/cat/1.png is'
    ' train/10/copy.png); leave the right one of each'
  ]


def test_suffixes_may_be_in_capitals(directory, photos):
  (photos / 'train/cat/0.png').rename(photos / 'train/cat/0.PNG')
  assert len(load(directory, photos).train) == 12


def test_a_link_within_the_folder_is_followed(directory, photos):
  (photos / 'train/cat/more.png').symlink_to(photos / 'train/cat/0.png')
  (photos / 'train/lynx').symlink_to('cat')
  (photos.parent / 'link').symlink_to(photos)
  spec = load(directory, photos.parent / 'link').spec
  assert spec.num_classes == 5 and spec.num_examples == 12 + 1 + 4


def test_links_out_of_the_folder_are_followed_and_said(directory, photos, caplog):
  before = load(directory, photos).spec
  elsewhere = photos.parent / 'elsewhere'
  (photos / 'train/cat').rename(elsewhere)
  (photos / 'train/cat').symlink_to(elsewhere)
  (photos / 'test/cat/0.png').rename(photos.parent / 'one.png')
  (photos / 'test/cat/0.png').symlink_to(photos.parent / 'one.png')
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    after = load(directory, photos).spec
  assert (after.name, after.fingerprint) == (before.name, before.fingerprint)
  assert caplog.messages == [
    f'{photos}: 2 links followed out of it, such as {photos}/train/cat to {elsewhere}'
  ]


def test_the_name_stands_for_paths_content_and_size(directory, photos):
  def name(**options):
    spec = load(directory, photos, **options).spec
    assert (directory / spec.name).is_dir()
    return spec.name

  names = [name(), name(image_size=8), name(image_size=16)]
  save(photos / 'test/cat/1.png', (9, 9, 9))
  names.append(name())
  (photos / 'test/cat/1.png').rename(photos / 'test/cat/2.png')
  names.append(name())
  (photos / 'test').rename(photos / 'val')
  names.append(name())
  assert len(set(names)) == len(names)
  assert all(name.startswith('folder_my_photos_') and len(name) == 25 for name in names)
  save(photos / 'val/cat/1.png', colour('test', 'cat', 1))
  (photos / 'val/cat/2.png').unlink()
  (photos / 'val').rename(photos / 'test')
  assert name() == names[0]


def test_it_is_prepared_once(directory, photos, monkeypatch):
  first = load(directory, photos, image_size=8)
  monkeypatch.setattr(image_folder.ImageFolder, 'download_and_prepare', None)
  again = load(directory, photos, image_size=8)
  assert (again.spec.name, again.spec.fingerprint) == (first.spec.name, first.spec.fingerprint)
  assert again.spec.class_names == first.spec.class_names


def test_the_order_does_not_depend_on_where_the_folder_is(directory, photos, tmp_path):
  copy = shutil.copytree(photos, tmp_path / 'elsewhere' / 'copy')
  assert load(directory, copy).spec.fingerprint == load(directory, photos).spec.fingerprint


def removed(path):
  return lambda root: shutil.rmtree(root / path)


def put(path, content=None, **options):
  def apply(root):
    if content is None:
      save(root / path, (0, 0, 0), **options)
    else:
      (root / path).write_bytes(content)

  return apply


def emptied(path):
  return lambda root: [file.unlink() for file in (root / path).iterdir()]


def linked(path, target):
  return lambda root: (root / path).symlink_to(target)


def one_class(root):
  for split in 'train', 'test':
    for name in CLASSES[1:]:
      shutil.rmtree(root / split / name)


def flat(root):
  for name in CLASSES:
    shutil.rmtree(root / 'test' / name)
  save(root / 'test/0.png', (0, 0, 0))


def looped(root):
  (root / 'train/cat/x.png').symlink_to('y.png')
  (root / 'train/cat/y.png').symlink_to('x.png')


@pytest.mark.parametrize(
  'spoil, message',
  [
    (removed(''), 'there is no folder {root}; correct `archive`'),
    (removed('train'), '{root} has no folder train; {root}/train/CLASS/IMAGE and'),
    (removed('test'), '{root} has no folder test, testing, val, valid or validation; make one'),
    (one_class, 'class folders in {root}/train: 1; at least 2 are needed, in the layout {root}/'),
    (flat, 'class folders in {root}/test: 0; at least 1 is needed, in the layout'),
    (put('test/dog/0.png'), '{root}/test/dog is a class that {root}/train has not; remove it'),
    (emptied('train/cat'), '{root}/train/cat has no images (.bmp, .jpeg, .jpg, .pgm, .png, .ppm,'),
    (put('train/ cat/0.png'), "the class '{root}/train/ cat' has blanks at the ends of its name"),
    (put('train/c\nt/0.png'), "{root}/train/c\\nt' has several lines; rename it"),
    (put('train/cat/a\nb.png'), "{root}/train/cat/a\\nb.png' has several lines; rename it"),
    (put(b'train/cat/\xff.png'.decode(errors='surrogateescape')), '.png\' is not UTF-8; rename'),
    (put('train/cat/1.png', b'hello'), '{root}/train/cat/1.png is not a whole JPEG, PNG, BMP'),
    (put('test/cat/1.jpg', b''), '{root}/test/cat/1.jpg is not a whole JPEG'),
    (put('train/10/0.png', b''), '{root}/train/10/0.png is not a whole JPEG'),
    (
      put('train/cat/1.png', size=(20, 30)),
      '{root}/train/cat/1.png is 20x30 pixels, and {root}/train/10/0.png is 16x16;'
      ' bring them to one size with `image_size`, e.g. 32',
    ),
    (
      put('train/10/0.png', size=(20, 7)),
      '{root}/train/10/0.png is 20x7 pixels, fewer than 8; enlarge the images with',
    ),
    (linked('train/cat/x.png', '/etc/passwd'), '{root}/train/cat/x.png is not a whole JPEG, PNG,'),
    (linked('train/x', '/etc'), '{root}/train/x has no images'),
    (linked('train/cat/x.png', 'nowhere.png'), None),
    (looped, None),
  ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_leaves_nothing(directory, photos, spoil, message):
  good = shutil.copytree(photos, photos.parent / 'good')
  spoil(photos)
  if message is None:  # A link that leads nowhere is no file.
    assert len(load(directory, photos).train) == 12
    return
  with pytest.raises(UserError) as error:
    load(directory, photos)
  assert message.format(root=photos) in str(error.value)
  assert '\n' not in str(error.value)
  assert not [path for path in directory.rglob('*') if path.is_file()]
  assert not list(directory.rglob('incomplete*'))
  photos.exists() and shutil.rmtree(photos)
  good.rename(photos)
  assert len(load(directory, photos).train) == 12


@pytest.mark.parametrize('size', [-1, 1, 7])
def test_a_size_out_of_bounds_is_refused(directory, photos, size):
  with pytest.raises(UserError, match=f'`image_size` is {size}; it must be at least 8, or 0'):
    load(directory, photos, image_size=size)


def test_a_file_is_no_folder(directory, tmp_path):
  (tmp_path / 'x.zip').write_bytes(b'')
  with pytest.raises(UserError, match='x.zip is a file; `archive` needs a folder with'):
    load(directory, tmp_path / 'x.zip')


def test_a_name_that_is_too_long_is_not_there(tmp_path):
  with pytest.raises(UserError, match='there is no folder .*aaa; correct `archive`'):
    image_folder.bind(tmp_path / ('a' * 300), 0, True)
  with pytest.raises(UserError, match='aaa is not there; correct `unlabelled`'):
    unlabelled_folder.bind(tmp_path / ('a' * 300), (8, 8, 3))


def test_a_folder_must_be_named(directory):
  with pytest.raises(UserError, match='no folder of images was given; name it with `archive`'):
    load(directory, '')


def test_an_enormous_image_is_refused(directory, photos, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 255)
  with pytest.raises(UserError, match='train/10/0.png is an image of more than the 255 pixels'):
    load(directory, photos)


def test_more_than_the_memory_is_refused_before_anything_is_prepared(
  directory, photos, monkeypatch
):
  # 20 images of 3072 bytes at 32x32.
  monkeypatch.setattr(image_folder.host_memory, 'installed', lambda: 61_439)
  with pytest.raises(UserError, match='the 20 images of .* at 32x32 take 0.0 GB and'):
    load(directory, photos, image_size=32)
  assert not directory.exists()
  monkeypatch.setattr(image_folder.host_memory, 'installed', lambda: 61_440)
  load(directory, photos, image_size=32)


@pytest.mark.parametrize('module, call', [(hashlib, 'file_digest'), (pathlib.Path, 'iterdir')])
def test_what_may_not_be_read_is_named(directory, photos, monkeypatch, module, call):
  def fail(*_):
    raise PermissionError(errno.EACCES, 'Permission denied')

  monkeypatch.setattr(module, call, fail)
  with pytest.raises(UserError, match=f'{photos}.* cannot be read .*denied.*; mend or remove'):
    load(directory, photos)
