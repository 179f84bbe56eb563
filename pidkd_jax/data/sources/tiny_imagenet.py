"""Tiny-ImageNet (200 classes of ImageNet at 64x64), and any archive in its layout."""

import re
import zipfile
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.sources import archive
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds import image as image_lib
from pidkd_jax.data.tfds.builder import features

_ROOT = 'tiny-imagenet-200/'
_WNIDS = f'{_ROOT}wnids.txt'
_ANNOTATIONS = f'{_ROOT}val/val_annotations.txt'
_TRAIN = re.compile(rf'{_ROOT}train/(\w+)/images/([\w.-]+\.JPEG)')
_VALIDATION = re.compile(rf'{_ROOT}val/images/([\w.-]+\.JPEG)')
_SHAPE = (64, 64, 3)
# The bytes that a member may have. An uncompressed 64x64 image has 12,288.
_TEXT_LIMIT = 2**24
_IMAGE_LIMIT = 2**18


class TinyImagenet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Stanford CS231n's subset of ImageNet: 500 training and 50 validation images a class.

  The test split has no public labels, so papers report the validation split as test. A label is the
  position of its WordNet id in the sorted wnids.txt. The JPEG files are stored unchanged.
  """

  VERSION = tfds.core.Version('1.0.0')

  url_infos: dict[str, UrlInfo] = {
    'http://cs231n.stanford.edu/tiny-imagenet-200.zip': UrlInfo(
      size=248_100_043,  # pyright: ignore[reportArgumentType]
      checksum='6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821',
      filename='tiny-imagenet-200.zip',
    ),
  }

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      description='64x64 images in the layout of Tiny-ImageNet; the labels are WordNet ids.',
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=_SHAPE, encoding_format='jpeg'),
          # The archive or the prepared files name the classes.
          'label': tfds.features.ClassLabel(),
        }
      ),
      supervised_keys=('image', 'label'),
      homepage='http://cs231n.stanford.edu/',
    )

  def _split_generators(self, dl_manager):
    [url] = self.url_infos
    path = Path(dl_manager.download(url))
    with archive.reading(path), zipfile.ZipFile(path) as zipped:
      wnids = archive.label_names(path, _WNIDS, _member(path, zipped, _WNIDS, _TEXT_LIMIT))
      annotations = _member(path, zipped, _ANNOTATIONS, _TEXT_LIMIT)
      names = zipped.namelist()
    features(self)['label'].names = sorted(wnids)
    # A line of the annotations has the file's name, its WordNet id and a box.
    lines = [line.split('\t') for line in annotations.decode(errors='replace').splitlines()]
    validation = {line[0]: line[1] for line in lines if len(line) > 1}
    splits = {
      'train': {name: match[1] for name in names if (match := _TRAIN.fullmatch(name))},
      'validation': {
        name: validation.get(match[1]) for name in names if (match := _VALIDATION.fullmatch(name))
      },
    }
    named = set(wnids)
    for split, images in splits.items():
      if not images:
        raise archive.unusable(path, f'it has no {split} images')
      for name, wnid in images.items():
        if wnid not in named:
          raise archive.unusable(
            path, f'{name} has the label {wnid}, which wnids.txt does not name'
          )
    return {split: self._generate_examples(path, images) for split, images in splits.items()}

  def _generate_examples(self, path, images):
    with archive.reading(path), zipfile.ZipFile(path) as zipped:
      for name, wnid in images.items():
        encoded = _member(path, zipped, name, _IMAGE_LIMIT)
        try:
          image_lib.decode(encoded, _SHAPE)
        except ValueError as error:
          raise archive.unusable(path, f'{name} is {error}') from error
        yield name, {'id': name.rpartition('/')[2], 'image': encoded, 'label': wnid}


def _member(path: Path, zipped: zipfile.ZipFile, name: str, limit: int) -> bytes:
  """Return a member's bytes.

  Raises:
    UserError: there is no such member, or it has more than `limit` bytes.
  """
  try:
    info = zipped.getinfo(name)
  except KeyError:
    raise archive.unusable(path, f'it has no {name}') from None
  archive.check_size(path, name, info.file_size, limit)
  return zipped.read(info)


DATASETS = {
  'tiny_imagenet': Source(
    builder=TinyImagenet,
    origin='http://cs231n.stanford.edu/tiny-imagenet-200.zip, the official archive',
    test='validation',
    # The CIFAR recipe, unchanged, as in spot-adaptive knowledge distillation.
    padding=4,
    flip=True,
    normalisation=Normalisation(
      mean=(0.4802, 0.4481, 0.3975),
      std=(0.2770, 0.2691, 0.2821),
    ),
  ),
}
