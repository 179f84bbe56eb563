"""Tiny-ImageNet (200 classes of ImageNet at 64x64), and any archive in its layout."""

import collections
import logging
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import cast

import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo

from pidkd_jax.core import image as image_lib
from pidkd_jax.core.errors import listed
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.sources import archive
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import features

logger = logging.getLogger(__name__)

_ROOT = 'tiny-imagenet-200/'
_WNIDS = f'{_ROOT}wnids.txt'
_ANNOTATIONS = f'{_ROOT}val/val_annotations.txt'
_TRAIN = re.compile(rf'{_ROOT}train/([^/]+)/images/[^/]+')
_VALIDATION = re.compile(rf'{_ROOT}val/images/([^/]+)')
_SUFFIXES = ('.jpeg', '.jpg', '.png')
# What an official archive has beside its images; its test images have no labels.
_KNOWN = re.compile(
  rf'{_ROOT}(wnids\.txt|words\.txt|val/val_annotations\.txt|train/\w+/\w+_boxes\.txt|test/.*)'
)
_SHAPE = (64, 64, 3)
# The bytes that a member may have. An uncompressed 64x64 image has 12,288.
_TEXT_LIMIT = 2**24
_IMAGE_LIMIT = 2**18


class TinyImagenet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Stanford CS231n's subset of ImageNet: 500 training and 50 validation images a class.

  The test split has no public labels, so papers report the validation split as test. A label is the
  position of its WordNet id in the sorted wnids.txt. The JPEG files are stored unchanged.
  """

  # 1.0.0 dropped files whose names do not end in .JPEG.
  VERSION = tfds.core.Version('1.1.0')

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
    wnids, splits = self._choose(path, *_labelled_members(path))
    features(self)['label'].names = wnids
    (train, first), (test, second) = splits.items()
    return {
      train: self._generate_examples(path, first, following=second),
      test: self._generate_examples(path, second, following={}),
    }

  def _choose(
    self, path: Path, wnids: list[str], splits: dict[str, dict[str, str]]
  ) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the classes and the images of the two splits that become the dataset's.

    Args:
      path: of the archive.
      wnids: its classes, sorted.
      splits: {split: {member: WordNet id}} of all its labelled images.
    """
    del path
    return wnids, splits

  def _stored(self, encoded: bytes) -> bytes | Image.Image:
    """Return what is stored of an image, given as a file of 64x64 pixels."""
    return encoded

  def _generate_examples(self, path, images, following):
    """Yield a split's examples; raise UserError at the end, with all images that are none.

    Args:
      path: of the archive.
      images: {member: WordNet id} of the split.
      following: the same of a split that comes later. It is looked at if this one has such images.
    """
    refused = []

    def read(name: str) -> bytes | None:
      encoded = _member(path, zipped, name, _IMAGE_LIMIT)
      try:
        image_lib.decode(encoded, _SHAPE)
      except ValueError as error:
        refused.append(f'{name} is {error}')
        return None
      return encoded

    with archive.reading(path), zipfile.ZipFile(path) as zipped:
      for name, wnid in images.items():
        if encoded := read(name):
          yield (
            name,
            {'id': name.rpartition('/')[2], 'image': self._stored(encoded), 'label': wnid},
          )
      if refused:
        for name in following:
          read(name)
        raise archive.unusable(path, listed(refused, separator='; '))


def _labelled_members(path: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
  """Return an archive's classes and the images of its splits.

  Args:
    path: of the archive.

  Returns:
    (WordNet ids, sorted; {'train' and 'validation': {member: WordNet id}}).

  Raises:
    UserError: the archive is damaged, or its images and labels do not fit together.
  """
  with archive.reading(path), zipfile.ZipFile(path) as zipped:
    wnids = archive.label_names(path, _WNIDS, _member(path, zipped, _WNIDS, _TEXT_LIMIT))
    annotations = _member(path, zipped, _ANNOTATIONS, _TEXT_LIMIT)
    names = zipped.namelist()
  # A line of the annotations has the file's name, its WordNet id and a box.
  lines = [line.split('\t') for line in annotations.decode(errors='replace').splitlines()]
  validation = {line[0]: line[1] for line in lines if len(line) > 1}
  images = _images(path, names)
  splits = {
    'train': {name: match[1] for name, match in images[_TRAIN].items()},
    'validation': {name: validation.get(match[1]) for name, match in images[_VALIDATION].items()},
  }
  named = set(wnids)
  for split, labels in splits.items():
    if not labels:
      raise archive.unusable(path, f'it has no {split} images')
    for name, wnid in labels.items():
      if wnid is None:
        raise archive.unusable(path, f'val_annotations.txt does not say the label of {name}')
      if wnid not in named:
        raise archive.unusable(path, f'{name} has the label {wnid}, which wnids.txt does not name')
  if empty := sorted(named - set(splits['train'].values())):
    raise archive.unusable(path, f'it has no train images of {listed(empty)}')
  missing = validation.keys() - {match[1] for match in images[_VALIDATION].values()}
  if missing:
    logger.warning(
      '%s: %d images that val_annotations.txt names are not there, such as %s',
      path,
      len(missing),
      min(missing),
    )
  if unjudged := sorted(named - set(splits['validation'].values())):
    logger.warning('%s: no validation images of %s', path, listed(unjudged))
  return sorted(wnids), splits


def _images(path: Path, names: list[str]) -> dict[re.Pattern[str], dict[str, re.Match[str]]]:
  """Return {pattern: {member: match}} of the images in an archive, and log what is passed over."""
  found: dict[re.Pattern[str], dict[str, re.Match[str]]] = {_TRAIN: {}, _VALIDATION: {}}
  others = collections.Counter[str]()
  for name, count in collections.Counter(names).items():
    if count > 1:
      raise archive.unusable(path, f'it has {name} {count} times')
    file = PurePosixPath(name)
    matches = {pattern: pattern.fullmatch(name) for pattern in found}
    pattern = next((pattern for pattern, match in matches.items() if match), None)
    if pattern and file.suffix.lower() in _SUFFIXES and not file.name.startswith('.'):
      found[pattern][name] = cast(re.Match[str], matches[pattern])
    elif not name.endswith('/') and not _KNOWN.fullmatch(name):
      others['hidden' if file.name.startswith('.') else ascii(file.suffix).strip("'")] += 1
  if others:
    kinds = ', '.join(f'{kind or "no suffix"}: {count}' for kind, count in sorted(others.items()))
    logger.warning(
      '%s: %d members passed over that are no images of train or val (%s)',
      path,
      others.total(),
      kinds,
    )
  return found


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
