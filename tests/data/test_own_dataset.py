"""A dataset that the user wrote, by its name 'module:Class'."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax import data
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import own_dataset
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import open_or_prepare
from tests.data import own


def test_a_builder_of_tfds_is_a_dataset(tmp_path):
  dataset = data.load('tests.data.own:Squares', directory=str(tmp_path))
  spec = dataset.spec
  assert (len(dataset.train), len(dataset.test)) == (6, 4)
  assert (spec.name, spec.format) == ('squares', 'tests.data.own:Squares')
  assert (spec.class_names, spec.image_shape) == (('dark', 'bright'), (8, 8, 3))
  assert (spec.flip, spec.padding, spec.archive) == (True, 1, '')
  # TFDS shuffles what it prepares.
  order = np.argsort(dataset.train.images[:, 0, 0, 0])
  assert dataset.train.images[order, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 200]
  assert dataset.train.labels[order].tolist() == [0, 1, 0, 1, 0, 1]
  assert spec.normalisation.mean == pytest.approx([100 / 255] * 3)
  assert data.published('tests.data.own:Squares') is None


def test_a_source_says_how_training_uses_the_images(tmp_path):
  spec = data.load('tests.data.own:TURNED', directory=str(tmp_path)).spec
  assert (spec.flip, spec.padding, spec.source) == (False, 2, 'made up')


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('Squarse', "unknown dataset of 'tests.data.own' 'Squarse'; did you mean 'Squares'"),
    ('np', 'is no dataset; make it a subclass of tfds.core.GeneratorBasedBuilder'),
    ('Digits', "makes a dataset called 'digits', as one of this package is; rename the class"),
    ('Failing', r'fails: FileNotFoundError: .*/nowhere/images.bin. \(.*own.py, line 35\)'),
    ('Larger', r'ValueError: the image of 0 is uint8 \(8, 8, 3\), and _info says uint8 \(9, 9, 3'),
    ('Transparent', 'ValueError: the image of 0 is of mode RGBA, not RGB or grayscale.*; mend it'),
    (
      'Mislabelled',
      r'fails: In <ClassLabel> with name .label.: Class label 1 greater than .*; mend it',
    ),
    ('AnySize', r"'image' of .* has shape \(None, None, 3\) and type uint8; all images need one"),
    ('Unlabelled', "needs the features 'image' .* and 'label'"),
    ('Unnamed', "the 'label' of .* names no classes"),
    ('GRAY', "normalisation of 'tests.data.own:GRAY' has 1 channels; the images have 3"),
    ('Listed', 'ValueError: the image of 0 is a list; give a uint8 array of numpy, or a file'),
    (
      'Secret',
      r"'test' of secret has images without a class \(label -1\); name another split by S",
    ),
    ('OneSplit', 'has the splits train; it needs train, and one of test, val, validation'),
  ],
)
def test_a_mistake_is_one_line(name, message, tmp_path):
  with pytest.raises(UserError, match=message) as error:
    data.load(f'tests.data.own:{name}', directory=str(tmp_path))
  assert '\n' not in str(error.value)


def test_prepared_data_without_a_label_are_refused_as_before(tmp_path):
  class NoLabel(own.Squares, skip_registration=True):
    def _info(self):
      features = tfds.features.FeaturesDict({'target': tfds.features.Text()})
      return tfds.core.DatasetInfo(builder=self, features=features)

    def _generate_examples(self, count):
      yield 0, {'target': 'x'}

  open_or_prepare(NoLabel, str(tmp_path))
  with pytest.raises(UserError, match="'mine:NoLabel' needs the features 'image' .* and 'label'"):
    own_dataset.prepare(
      'mine:NoLabel', Source(NoLabel, 'made up', True, test=''), str(tmp_path), ''
    )


def test_a_source_says_the_normalisation(tmp_path):
  spec = data.load('tests.data.own:VALIDATED', directory=str(tmp_path)).spec
  assert (spec.normalisation.mean, spec.normalisation.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_statistics_are_kept_for_each_choice_of_splits(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'caches'))
  names = ('ThreeSplits', 'VALIDATED', 'ThreeSplits')
  labels = [
    data.load(f'tests.data.own:{name}', directory=str(tmp_path), limit=0).test.labels
    for name in names
  ]
  assert [sum(one.tolist()) for one in labels] == [2, 4, 2]


def encoded(image, kind='PNG'):
  file = io.BytesIO()
  image.save(file, kind)
  return file.getvalue()


@pytest.mark.parametrize(
  'image, message',
  [
    (Image.new('RGB', (9, 8)), '9x8 pixels, not 8x8'),
    (encoded(Image.new('P', (8, 8))), 'of mode P, not RGB or grayscale'),
    (io.BytesIO(encoded(Image.new('RGB', (8, 9)), 'JPEG')), '8x9 pixels, not 8x8'),
    (encoded(Image.new('RGB', (8, 8)))[:-30], 'not a whole JPEG or PNG file'),
    ('/nowhere/a.png', '/nowhere/a.png, which cannot be read'),
  ],
)
def test_an_image_that_could_not_be_read_back_is_refused_by_its_key(image, message):
  with pytest.raises(ValueError, match=f"the image of 'first' is {message}"):
    list(own_dataset._encodable([('first', {'image': image})], (8, 8, 3)))


def test_files_of_images_are_kept_as_they_are(tmp_path):
  whole = encoded(Image.new('L', (8, 8), 7))
  (tmp_path / 'a.png').write_bytes(whole)
  images = (tmp_path / 'a.png', str(tmp_path / 'a.png'), whole, io.BytesIO(whole))
  examples = own_dataset._encodable([(0, {'image': image}) for image in images], (8, 8, 3))
  assert [example['image'] for _, example in examples] == [whole] * 4


def test_a_field_that_it_does_not_take_is_refused(tmp_path):
  with pytest.raises(UserError, match="`archive` is 'a.zip', and .* takes none; leave it out"):
    data.load('tests.data.own:Squares', directory=str(tmp_path), archive='a.zip')
