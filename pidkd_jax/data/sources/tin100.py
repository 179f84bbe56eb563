"""TIN-100: half of Tiny-ImageNet's classes at 32x32, whole and in blocks of 20 classes.

It has the size of CIFAR-100, and is a dataset of its own: no result on it is one on CIFAR-100. It
is made from the official archive of Tiny-ImageNet, so anyone can make it.

- Classes are every second of the sorted WordNet ids, beginning with the first.
- Pixels are the means of 2x2 pixels, rounded.
- Images are numbered by their files. TIN-100 has each class's 500 training images and its 50
  validation images, the latter as test. A block trains on the first 300, and its test images are
  the 50 and the 200 that are left.
"""

import collections
import io
import re
from collections.abc import Iterable, Mapping

import tensorflow_datasets as tfds
from PIL import Image

from pidkd_jax.core.errors import listed
from pidkd_jax.data.sources import archive, tiny_imagenet
from pidkd_jax.data.sources.source import Source

_ORIGIN = 'http://cs231n.stanford.edu/tiny-imagenet-200.zip, every second class at 32x32'
_SIZE = 32


class Tin100(tiny_imagenet.TinyImagenet, skip_registration=True):
  """All 100 classes. The images are stored as PNG.

  Attributes:
    block: the positions of the classes among the 100.
    train_images: training images of a class.
    test_images: test images of a class.
  """

  VERSION = tfds.core.Version('1.0.0')

  block = slice(0, 100)
  train_images = 500
  test_images = 50

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description='32x32 images of half the classes of Tiny-ImageNet; the labels are WordNet ids.',
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=(_SIZE, _SIZE, 3), encoding_format='png'),
          'label': tfds.features.ClassLabel(),
        }
      ),
      supervised_keys=('image', 'label'),
      homepage='http://cs231n.stanford.edu/',
    )

  def _choose(self, path, wnids, splits):
    chosen = wnids[::2][self.block]
    train, validation = (_by_class(images) for images in splits.values())
    parts: dict[str, dict[str, str]] = {'train': {}, 'test': {}}
    few = []
    for wnid in chosen:
      names = train[wnid]
      test = (validation[wnid] + names[self.train_images :])[: self.test_images]
      if len(names) < self.train_images or len(test) < self.test_images:
        few.append(wnid)
      parts['train'] |= dict.fromkeys(names[: self.train_images], wnid)
      parts['test'] |= dict.fromkeys(test, wnid)
    if not chosen:
      raise archive.unusable(path, f'{self.name} needs classes beyond the {len(wnids)} that it has')
    if few:
      counts = f'{self.train_images} training and {self.test_images} test images'
      raise archive.unusable(
        path, f'{self.name} needs {counts} of each class; {listed(few)} lack some'
      )
    return chosen, parts

  def _stored(self, encoded):
    return Image.open(io.BytesIO(encoded)).convert('RGB').reduce(2)


def _by_class(images: Mapping[str, str]) -> Mapping[str, list[str]]:
  """Return {WordNet id: its members by the number in their file's name}."""
  found = collections.defaultdict(list)
  for name, wnid in images.items():
    found[wnid].append(name)
  for names in found.values():
    names.sort(key=_number)
  return found


def _number(name: str) -> tuple[int, str]:
  """Return the last number in a name, and the name."""
  numbers: Iterable[str] = re.findall(r'\d+', name.rpartition('/')[2])
  return int([0, *numbers][-1]), name


def _block(letter: str, first: int) -> type[Tin100]:
  class Block(Tin100, skip_registration=True):
    name = f'tin100_20{letter}'
    block = slice(first, first + 20)
    train_images = 300
    test_images = 250

  return Block


def _source(builder: type[Tin100]) -> Source:
  return Source(builder=builder, origin=_ORIGIN, padding=4, flip=True, derived=True)


# Blocks by their letters: the first 20 classes have none, the next are b to e.
DATASETS = {
  'tin100': _source(Tin100),
  **{
    f'tin100_20{letter}': _source(_block(letter, 20 * number))
    for number, letter in enumerate(('', 'b', 'c', 'd', 'e'))
  },
}
