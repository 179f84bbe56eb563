"""Datasets as a user writes them, for tests of names such as `tests.data.own:Squares`."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.sources.source import Source


class Squares(tfds.core.GeneratorBasedBuilder):
  """Bright and dark squares."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    features = {
      'image': tfds.features.Image(shape=(8, 8, 3)),
      'label': tfds.features.ClassLabel(names=['dark', 'bright']),
    }
    return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples(6), 'validation': self._generate_examples(4)}

  def _generate_examples(self, count):
    for i in range(count):
      yield i, {'image': np.full((8, 8, 3), 40 * i, np.uint8), 'label': i % 2}


class Failing(Squares):
  """Its files are not there."""

  def _generate_examples(self, count):
    yield 0, open('/nowhere/images.bin')


class Digits(Squares):
  """It has the name of one of ours."""


class OneSplit(Squares):
  """It has no test split."""

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples(6)}


class Transparent(Squares):
  """Its images have a fourth channel."""

  def _generate_examples(self, count):
    for i in range(count):
      yield i, {'image': Image.new('RGBA', (8, 8)), 'label': i % 2}


class ThreeSplits(Squares):
  """It has two test splits of one size; the second is all bright."""

  def _split_generators(self, dl_manager):
    bright = ((i, {**example, 'label': 1}) for i, example in self._generate_examples(4))
    splits = super()._split_generators(dl_manager)
    return {**splits, 'test': self._generate_examples(4), 'validation': bright}


class Secret(Squares):
  """It keeps the classes of its test split secret, as TFDS does by -1."""

  def _split_generators(self, dl_manager):
    secret = ((i, {**example, 'label': -1}) for i, example in self._generate_examples(4))
    return {**super()._split_generators(dl_manager), 'test': secret}


class Listed(Squares):
  """Its images are lists."""

  def _generate_examples(self, count):
    for i in range(count):
      yield i, {'image': np.zeros((8, 8, 3), np.uint8).tolist(), 'label': i % 2}


def _with(**features):
  class Other(Squares, skip_registration=True):
    def _info(self):
      given = {'image': tfds.features.Image(shape=(8, 8, 3)), 'label': tfds.features.ClassLabel()}
      return tfds.core.DatasetInfo(
        builder=self, features=tfds.features.FeaturesDict(given | features)
      )

  return Other


AnySize = _with(image=tfds.features.Image())
Unlabelled = _with(label=tfds.features.Text())
Unnamed = _with()
Larger = _with(
  image=tfds.features.Image(shape=(9, 9, 3)), label=tfds.features.ClassLabel(num_classes=2)
)
Mislabelled = _with(label=tfds.features.ClassLabel(names=['dark']))
VALIDATED = Source(
  builder=ThreeSplits,
  origin='made up',
  flip=False,
  test='validation',
  normalisation=Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
)
GRAY = Source(
  builder=Squares,
  origin='made up',
  flip=False,
  test='validation',
  normalisation=Normalisation((0.5,), (0.25,)),
)
TURNED = Source(builder=Squares, origin='made up', flip=False, padding=2, test='validation')
