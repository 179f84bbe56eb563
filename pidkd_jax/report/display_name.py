"""Names of data sets and networks as titles show them."""

import re
from collections.abc import Mapping

# As their authors write them.
_DATASETS = {
  'cifar100': 'CIFAR-100',
  'tiny_imagenet': 'Tiny-ImageNet',
  'tin100': 'TIN-100',
  r'tin100_(20\w?)': r'TIN-100/\1',
}
_NETWORKS = {
  r'resnet(\d+)_imagenet': r'ResNet-\1 (ImageNet)',
  r'resnet(\d.*)': r'ResNet-\1',
  r'wrn_(\d+)_(\d.*)': r'WRN-\1-\2',
  r'vgg(\d+.*)': r'VGG-\1',
}


def dataset(name: str) -> str:
  """Return a data set's name; that of a user's own archive or folder loses its checksum.

  Example:
    >>> dataset('unverified_tin100_20_59388eb3')
    'tin100-20 (unverified)'
    >>> dataset('cifar100'), dataset('tin100_20b')
    ('CIFAR-100', 'TIN-100/20b')
  """
  own = re.fullmatch(r'(unverified|folder)_(.+)_[0-9a-f]{8}', name)
  if not own:
    return _shown(name, _DATASETS)
  kind, words = own.groups()
  return f'{words.replace("_", "-")} ({kind})'


def network(name: str) -> str:
  """Return a network's name; one that is not known here stays as it is.

  Example:
    >>> network('resnet8x4'), network('wrn_40_2'), network('MobileNetV2')
    ('ResNet-8x4', 'WRN-40-2', 'MobileNetV2')
    >>> network('resnet18_imagenet')
    'ResNet-18 (ImageNet)'
  """
  return _shown(name, _NETWORKS)


def _shown(name: str, names: Mapping[str, str]) -> str:
  for pattern, shown in names.items():
    if re.fullmatch(pattern, name):
      return re.sub(pattern, shown, name)
  return name
