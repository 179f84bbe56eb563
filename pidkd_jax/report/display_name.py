"""Names of data sets and networks as titles show them."""

import re

# As their authors write them.
_DATASETS = {'cifar100': 'CIFAR-100', 'tiny_imagenet': 'Tiny-ImageNet'}
_NETWORKS = {
  r'resnet(\d.*)': r'ResNet-\1',
  r'wrn_(\d+)_(\d.*)': r'WRN-\1-\2',
  r'vgg(\d+.*)': r'VGG-\1',
}


def dataset(name: str) -> str:
  """Return a data set's name; that of a user's own archive or folder loses its checksum.

  Example:
    >>> dataset('unverified_tin100_20_59388eb3')
    'tin100-20 (unverified)'
    >>> dataset('cifar100')
    'CIFAR-100'
  """
  own = re.fullmatch(r'(unverified|folder)_(.+)_[0-9a-f]{8}', name)
  if not own:
    return _DATASETS.get(name, name)
  kind, words = own.groups()
  return f'{words.replace("_", "-")} ({kind})'


def network(name: str) -> str:
  """Return a network's name; one that is not known here stays as it is.

  Example:
    >>> network('resnet8x4'), network('wrn_40_2'), network('MobileNetV2')
    ('ResNet-8x4', 'WRN-40-2', 'MobileNetV2')
  """
  for pattern, shown in _NETWORKS.items():
    if re.fullmatch(pattern, name):
      return re.sub(pattern, shown, name)
  return name
