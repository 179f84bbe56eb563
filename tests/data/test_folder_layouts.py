"""Folders and tables of images as people have them."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.sources import folder as folders
from pidkd_jax.data.sources import label_table, labelled_files, partition


def save(path, level=0):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('RGB', (8, 8), (level, level, level)).save(path)
  return path


@pytest.fixture
def whole(tmp_path):
  """CLASS/IMAGE: ten images of a, five of b, two of c; each has another colour."""
  for label, (name, count) in enumerate({'a': 10, 'b': 5, 'c': 2}.items()):
    for index in range(count):
      save(tmp_path / 'photos' / name / f'{index}.png', 80 * label + index)
  return tmp_path / 'photos'


@pytest.fixture
def split(whole):
  """train/CLASS/IMAGE and test/CLASS/IMAGE of the same."""
  for name in 'abc':
    for part in 'train', 'test':
      save(whole / part / name / f'{part}.png')
    shutil.rmtree(whole / name)
  return whole


def load(tmp_path, path):
  return data.load('image_folder', directory=str(tmp_path / 'tfds'), archive=str(path))


def counts(folder):
  return {
    part: {name: len(paths) for name, paths in classes.items()}
    for part, classes in folder.images.items()
  }


# --- the names of splits


@pytest.mark.parametrize(
  'train, test', [('Train', 'TEST'), ('training', 'valid'), ('TRAINING', 'Testing')]
)
def test_splits_may_have_other_names(split, train, test):
  (split / 'train').rename(split / train)
  (split / 'test').rename(split / test)
  found = folders.scan(split)
  assert found.origin == f'{train} and {test}' and counts(found)['test'] == dict.fromkeys('abc', 1)


def test_test_comes_before_validation(split):
  shutil.copytree(split / 'test', split / 'Validation')
  assert folders.scan(split).origin == 'train and test'


def test_two_training_splits_are_refused(split):
  shutil.copytree(split / 'train', split / 'Training')
  with pytest.raises(UserError, match='train, .*/Training may both be the training split; leave'):
    folders.scan(split)


def test_classes_of_one_split_are_all_named(split, caplog):
  save(split / 'test/x/0.png'), save(split / 'test/y/0.png')
  with pytest.raises(UserError, match='test/x, .*test/y are classes that .*train has not; remove'):
    folders.scan(split)
  for name in 'xy':
    shutil.move(split / 'test' / name, split / 'train' / name)
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    folders.scan(split)
  assert 'test has no images of x, y; they are not tested' in caplog.text


# --- one folder of classes


def test_a_folder_of_classes_is_split_by_class(tmp_path, whole, caplog):
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    dataset = load(tmp_path, whole)
  assert np.bincount(dataset.train.labels).tolist() == [8, 4, 1]
  assert np.bincount(dataset.test.labels).tolist() == [2, 1, 1]
  colours = [*dataset.train.images[:, 0, 0, 0], *dataset.test.images[:, 0, 0, 0]]
  assert sorted(colours) == [*range(10), *range(80, 85), 160, 161]
  said = 'split at random by the seed 0 into 13 for training and 4 for the test'
  assert caplog.messages == [f'{whole} has no folders train and test; it is {said}']
  assert dataset.spec.source == f"the user's own images: photos, {said}, not scaled"


@pytest.mark.parametrize('name', ['train', 'Test', 'val'])
def test_a_class_may_have_the_name_of_a_split(whole, caplog, name):
  (whole / 'a').rename(whole / name)
  found = folders.scan(whole)
  assert set(found.class_names) == {name, 'b', 'c'}
  assert f'{whole / name} has images itself, so it is taken as a class' in caplog.text


def test_accents_of_classes_may_be_composed_in_two_ways(split):
  (split / 'train' / 'a').rename(split / 'train' / '\u00e4')
  (split / 'test' / 'a').rename(split / 'test' / 'a\u0308')
  found = folders.scan(split)
  assert set(found.images['test']) == set(found.images['train']) == {'\u00e4', 'b', 'c'}


def test_folders_of_one_class_are_joined_however_their_accents_are_composed(split, caplog):
  """On Linux both spellings can stand side by side, as after a copy from macOS."""
  for part in 'train', 'test':
    (split / part / 'a').rename(split / part / '\u00e4')
  save(split / 'test' / 'a\u0308' / 'more.png')
  found = folders.scan(split)
  assert counts(found)['test'] == {'\u00e4': 2, 'b': 1, 'c': 1}
  assert 'test/\u00e4' in caplog.text and '1 folders joined with others' in caplog.text
  save(split / 'train' / 'a\u0308' / 'more.png')
  found = folders.scan(split)
  assert sorted(counts(found)['train'].values()) == [1, 1, 2] and len(found.paths) == 8
  # So it has another name than what an earlier version prepared of the same paths.
  assert not found.told


def test_the_test_split_is_known_by_its_classes_however_accents_are_composed(split):
  for part, name in ('train', '\u00e4'), ('test', 'a\u0308'):
    for other in 'bc':
      shutil.rmtree(split / part / other)
    (split / part / 'a').rename(split / part / name)
  shutil.copytree(split / 'train', split / 'val')
  save(split / 'train/b/0.png')
  assert folders.scan(split).origin == 'train and test'


def test_the_split_stays_the_same_and_is_a_random_one(whole):
  first, again = folders.scan(whole), folders.scan(whole)
  assert first.images == again.images
  tested = [path.stem for path in first.images['test']['a']]
  assert tested not in (['0', '1'], ['8', '9'])


def test_classes_with_one_image_are_all_named(whole):
  save(whole / 'x/0.png'), save(whole / 'y/0.png')
  with pytest.raises(UserError, match='2 images of each class, and there is one of x, y; add some'):
    folders.scan(whole)


# --- a table


def write(whole, lines, name='labels.csv'):
  (whole / name).write_text('\n'.join(lines))
  return whole / name


def rows(whole, separator=','):
  paths = sorted(whole.glob('*/*.png'))
  return [f'{path.relative_to(whole)}{separator}{path.parent.name}' for path in paths]


def test_a_table_without_header_and_splits_is_split_by_class(tmp_path, whole):
  dataset = load(tmp_path, write(whole, rows(whole)))
  assert dataset.spec.class_names == ('a', 'b', 'c')
  assert np.bincount(dataset.test.labels).tolist() == [2, 1, 1]
  # The same split as that of the folder.
  np.testing.assert_array_equal(load(tmp_path, whole).test.images, dataset.test.images)


@pytest.mark.parametrize('separator, name', [(',', 'l.csv'), (';', 'l.csv'), ('\t', 'l.tsv')])
def test_a_header_names_the_columns(whole, separator, name, caplog):
  lines = [
    separator.join((part, f'"{path}"', 'x', label))
    for part, path, label in (
      ('Train', 'a/0.png', 'ant'),
      ('train', 'b/1.png', 'bee'),
      ('VAL', 'a/1.png', 'ant'),
      ('test', 'a/2.png', 'ant'),
      ('test', 'b/2.png', 'bee'),
    )
  ]
  header = separator.join(('Split', 'Filename', 'width', 'Class'))
  with caplog.at_level('WARNING', logger='pidkd_jax'):
    found = label_table.read(write(whole, ['\ufeff' + header, *lines, ''], name))
  assert found.origin == 'train and test'
  assert counts(found) == {'train': {'ant': 1, 'bee': 1}, 'test': {'ant': 1, 'bee': 1}}
  assert found.name(found.images['train']['bee'][0]) == 'b/1.png'
  assert caplog.messages == [f'{whole / name}: 1 images of val are not read']


def test_numbers_are_sorted_by_value(whole):
  lines = [f'a/{i}.png,{label}' for i, label in enumerate((10, 10, 2, 2, 1, 1))]
  assert label_table.read(write(whole, lines)).class_names == ['1', '2', '10']


@pytest.mark.parametrize(
  'ordered',
  [
    ['00000001', '0000001', '000001', '00001', '0001', '001', '01', '1', '2', '10'],
    # Python refuses to read numbers of more than 4300 digits.
    ['1', '10', '2', '9' * 5000],
  ],
)
def test_labels_have_one_order(tmp_path, ordered):
  """The order of a set would depend on the seed of Python's hashes."""
  rows = [
    (tmp_path / split, label, split) for split in ('train', 'test') for label in ordered[::-1]
  ]
  assert labelled_files.arranged(tmp_path, tmp_path, rows).class_names == ordered


def test_blank_lines_before_a_table_are_passed_over(whole):
  lines = ['', ' ', 'path\tlabel', *rows(whole, '\t')]
  assert label_table.read(write(whole, lines)).class_names == ['a', 'b', 'c']


def test_labels_and_splits_belong_to_the_name(tmp_path, whole):
  lines = [f'a/{i}.png,{"xy"[i % 2]},{"train" if i < 4 else "test"}' for i in range(6)]
  swapped = [lines[1].replace('1', '0', 1), lines[0].replace('0', '1', 1), *lines[2:]]
  moved = [*lines[2:4], *lines[:2], *lines[4:]]
  names = [load(tmp_path, write(whole, one)).spec.name for one in (lines, swapped, moved)]
  assert names[0] == names[2] != names[1]


@pytest.mark.parametrize(
  'lines, message',
  [
    ([], 'is empty; a row with path and class is needed for each image'),
    (['a/0.png'], 'has one column in its first row; path and class are needed'),
    (['a/0.png,a', 'a/1.png'], 'row 2 has 1 columns, and 2 are needed'),
    (['a/0.png,a', 'a/1.png,'], 'row 2 has no path or no class of one line; mend it'),
    ([f'{"n" * 300},a', 'a/0.png,b'], 'names 1 files that are not there: nnn'),
    (['n.png,a', 'n.png,b'], 'names 1 files that are not there: n.png; paths start in'),
    (['n.png,a', 'm.png,b'], 'names 2 files that are not there: n.png, m.png; paths start in'),
    (['a/0.png,a', 'a/0.png,b'], 'names files twice: a/0.png; leave one row of each'),
    (['a/0.png,a', 'a/1.png,a'], 'has 1 classes; at least 2 are needed'),
    (['a/0.png,a', 'b/0.png,b'], 'a split needs 2 images of each class, and there is one of a, b'),
    (['a/0.png,a,x', 'b/0.png,b,y'], 'the splits x, y are neither of train, training nor of test'),
    (['a/0.png,a,train', 'b/0.png,b,train'], 'has images of train alone; training and test images'),
    (
      ['a/0.png,a,train', 'b/0.png,b,test', 'c/0.png,c,test'],
      'no training images of b, c; remove their test images, or add some',
    ),
  ],
)
def test_a_table_that_cannot_be_used_is_refused(whole, lines, message):
  with pytest.raises(UserError, match=message) as error:
    label_table.read(write(whole, lines))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('spelling', ['./a/0.png', 'b/../a/0.png', '{root}/a/0.png', 'link/0.png'])
def test_a_file_is_known_by_any_spelling_of_its_path(tmp_path, whole, spelling):
  (tmp_path / 'by_link').symlink_to(whole)
  (whole / 'link').symlink_to('a')
  lines = ['a/0.png,a,train', 'b/0.png,b,train', 'a/1.png,a,test', '{},a,test']
  table = write(whole, lines).read_text().format(spelling.format(root=tmp_path / 'by_link'))
  with pytest.raises(UserError, match='names files twice: a/0.png; leave one row of each'):
    label_table.read(write(whole, table.splitlines()))


def test_labels_of_one_class_are_joined_however_their_accents_are_composed(tmp_path, whole):
  labels = ['\u00e4', 'a\u0308'] * 3 + ['b'] * 4
  found = label_table.read(write(whole, [f'a/{i}.png,{label}' for i, label in enumerate(labels)]))
  assert counts(found) == {'train': {'a\u0308': 5, 'b': 3}, 'test': {'a\u0308': 1, 'b': 1}}
  rows = [(tmp_path / f'{i}', label, '') for i, label in enumerate(labels[:6])]
  with pytest.raises(UserError, match='has 1 classes; at least 2 are needed'):
    labelled_files.arranged(tmp_path, tmp_path, rows)


def test_a_table_may_be_made_on_windows(whole):
  (whole / r'a\9.png').write_bytes((whole / 'a/9.png').read_bytes())
  found = label_table.read(write(whole, [line.replace('/', '\\') for line in rows(whole)]))
  names = {found.name(path) for path in found.paths}
  # A file whose name has a backslash is that file.
  assert names == {*(f'{p.parent.name}/{p.name}' for p in whole.glob('*/*.png'))} - {'a/9.png'} | {
    r'a\9.png'
  }
  with pytest.raises(UserError, match='names 1 files that are not there: ' + re.escape(r'a\n.png')):
    label_table.read(write(whole, [r'a\n.png,a', r'b\0.png,b']))


def test_a_table_that_is_no_text_is_refused(whole):
  (whole / 'labels.csv').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(UserError, match='labels.csv cannot be read as text .*; mend it'):
    label_table.read(whole / 'labels.csv')


def test_a_fifth_of_each_class_is_tested(tmp_path):
  images = {
    name: [tmp_path / f'{i}' for i in range(count)] for name, count in (('a', 27), ('b', 3))
  }
  parts = partition.stratified(tmp_path, images)
  assert [len(parts['test'][name]) for name in 'ab'] == [5, 1]
  for name, paths in images.items():
    assert sorted([*parts['train'][name], *parts['test'][name]]) == sorted(paths)
