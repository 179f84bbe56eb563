"""CIFAR-100, and any archive in its binary or its Python format.

Source: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import posixpath
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.data.sources import archive, cifar_pickle
from pidkd_jax.data.sources.source import Source
from pidkd_jax.data.tfds.builder import features

# A record is the coarse label, the fine label, and the red, the green and the blue plane.
_RECORD = 2 + 3 * 32 * 32
# The members that are read, each with the bytes that it may have. A split may be five times
# CIFAR-100's training split.
_LIMITS = {
  'cifar-100-binary/train.bin': 250_000 * _RECORD,
  'cifar-100-binary/test.bin': 250_000 * _RECORD,
  'cifar-100-binary/fine_label_names.txt': 2**20,
  'cifar-100-binary/coarse_label_names.txt': 2**20,
}
# The same for the Python version, which torchvision downloads. Its images have file names too.
_PICKLES = {
  'cifar-100-python/train': 250_000 * (_RECORD + 100),
  'cifar-100-python/test': 250_000 * (_RECORD + 100),
  'cifar-100-python/meta': 2**20,
}


class Cifar100(tfds.image_classification.Cifar100, skip_registration=True):
  """TFDS's own cifar100, prepared without TensorFlow.

  Name, version, features, keys and ids are the official ones, so the prepared files are
  interchangeable. The archive names the classes.
  """

  url_infos: dict[str, UrlInfo] = {
    'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz': UrlInfo(
      size=168_513_733,  # pyright: ignore[reportArgumentType]
      checksum='58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec',
      filename='cifar-100-binary.tar.gz',
    ),
  }

  def _info(self):
    official = super()._info()
    return tfds.core.DatasetInfo(
      builder=self,
      description='32x32 colour images in the binary format of CIFAR-100.',
      features=tfds.features.FeaturesDict(
        {
          **cast(Any, official.features),
          # The archive or the prepared files name the classes.
          'label': tfds.features.ClassLabel(),
          'coarse_label': tfds.features.ClassLabel(),
        }
      ),
      supervised_keys=official.supervised_keys,
      homepage=official.homepage,
      citation=official.citation,
    )

  def _split_generators(self, dl_manager):
    [url] = self.url_infos
    path = Path(dl_manager.download(url))
    members = _read(path)
    for key, prefix in ('label', 'fine'), ('coarse_label', 'coarse'):
      member = f'cifar-100-binary/{prefix}_label_names.txt'
      features(self)[key].names = archive.label_names(path, member, members[member])
    return {
      split: self._generate_examples(split, self._records(path, split, members))
      for split in ('train', 'test')
    }

  def _records(self, path, split, members):
    """Return a split's records, checked: uint8 [N, 3074]."""
    member = f'cifar-100-binary/{split}.bin'
    data = np.frombuffer(members[member], np.uint8)
    if not len(data) or len(data) % _RECORD:
      raise archive.unusable(
        path, f'{member} has {len(data):,} bytes, not some whole number of {_RECORD}-byte records'
      )
    records = data.reshape(-1, _RECORD)
    for column, key in enumerate(('coarse_label', 'label')):
      highest, count = records[:, column].max(), features(self)[key].num_classes
      if highest >= count:
        raise archive.unusable(path, f'{member} has the {key} {highest}, but {count} are named')
    return records

  def _generate_examples(self, split, records):
    for index, record in enumerate(records):
      planes = record[2:].reshape(3, 32, 32)
      yield (
        index,
        {
          'id': f'{split}_{index:05d}',
          # A Pillow image, because TFDS encodes arrays with TensorFlow.
          'image': Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))),
          'label': record[1],
          'coarse_label': record[0],
        },
      )


def _read(path: Path) -> dict[str, bytes]:
  """Return the bytes of the members in `_LIMITS`, in one pass, because a gzip allows no seeking.

  An archive of the Python version is brought to the binary format.
  """
  members, limits = {}, _LIMITS | _PICKLES
  bounded = archive.BoundedTarInfo
  with archive.reading(path), tarfile.open(path, 'r:gz', tarinfo=bounded) as tar:
    for info in tar:
      name = posixpath.normpath(info.name)
      if info.isreg() and name in limits:
        archive.check_size(path, name, info.size, limits[name])
        members[name] = cast(BinaryIO, tar.extractfile(info)).read()
    # The checksum of a gzip follows the last member, and is compared only when it is reached.
    while cast(BinaryIO, tar.fileobj).read(2**20):
      pass
  if members.keys() == _PICKLES.keys():
    return _from_pickles(path, members)
  if missing := sorted(_LIMITS.keys() - members.keys()):
    raise archive.unusable(path, f'it has no {", ".join(missing)}')
  return members


def _from_pickles(path: Path, pickles: dict[str, bytes]) -> dict[str, bytes]:
  """Return the members of the binary format, made of those of the Python version."""
  members, member = {}, ''
  try:
    for split in 'train', 'test':
      member = f'cifar-100-python/{split}'
      members[f'cifar-100-binary/{split}.bin'] = cifar_pickle.records(pickles[member])
    member = 'cifar-100-python/meta'
    for kind in 'fine', 'coarse':
      entry = f'{kind}_label_names'
      members[f'cifar-100-binary/{entry}.txt'] = cifar_pickle.names(pickles[member], entry)
  except ValueError as error:
    raise archive.unusable(path, f'{member} is {error}') from error
  return members


DATASETS = {
  'cifar100': Source(
    builder=Cifar100,
    origin='https://www.cs.toronto.edu/~kriz/cifar.html, the official archive',
    also=(
      UrlInfo(
        size=169_001_437,  # pyright: ignore[reportArgumentType]
        checksum='85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7',
        filename='cifar-100-python.tar.gz',
      ),
    ),
    padding=4,
    flip=True,
    # As in the code of the distillation literature (RepDistiller, mdistiller, SimKD).
    normalisation=Normalisation(
      mean=(0.5071, 0.4867, 0.4408),
      std=(0.2675, 0.2565, 0.2761),
    ),
  ),
}
