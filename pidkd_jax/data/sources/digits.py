"""Handwritten digits: the 1,797 images of 8x8 pixels that come with scikit-learn.

It needs no download and trains in seconds, so it serves tests and first trials.
"""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax.core import extras
from pidkd_jax.data.sources.source import Source

# The file keeps a writer's digits together, so a split by its order divides at most one writer.
# A shuffled split would have near-duplicates of every writer on both sides.
NUM_TRAIN = 1297


class Digits(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Optical recognition of handwritten digits, grayscale, 10 classes."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description='The test part of the UCI handwritten digits, as scikit-learn distributes it.',
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=(8, 8, 1)),
          'label': tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
        }
      ),
      supervised_keys=('image', 'label'),
      homepage='https://archive.ics.uci.edu/dataset/80',
    )

  def _split_generators(self, dl_manager):
    # Imported here: importing scikit-learn takes a second, and every command imports this file.
    with extras.needed('the data set digits'):
      from sklearn.datasets import load_digits

    del dl_manager  # Nothing to download.
    digits: Any = load_digits()
    # The file stores ink in 0..16.
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    examples = list(zip(range(len(images)), images, digits.target, strict=True))
    return {
      'train': self._generate_examples(examples[:NUM_TRAIN]),
      'test': self._generate_examples(examples[NUM_TRAIN:]),
    }

  def _generate_examples(self, examples):
    for index, image, label in examples:
      yield (
        index,
        {
          'id': f'{index:04d}',
          'image': Image.fromarray(image),
          'label': label,
        },
      )


DATASETS = {
  'digits': Source(
    builder=Digits,
    origin='scikit-learn load_digits: UCI handwritten digits, first 1,297 train, last 500 test',
    padding=1,
    flip=False,
  ),
}
