"""The smallest model of every family, for tests that need one of each."""

import pytest

SMALL = {
  'ResNet': 'resnet8',
  'ImageNetResNet': 'ResNet18',
  'WRN': 'wrn_16_1',
  'VGG': 'vgg8',
  'MobileNetV2': 'MobileNetV2',
  'MobileNetV2TinyImageNet': 'MobileNetV2_TinyImageNet',
  'ShuffleNetV1': 'ShuffleV1',
  'ShuffleNetV2': 'ShuffleV2',
}

# Networks of the same blocks and widths as a shorter one, which compile for long. Their comparisons
# are in `make test-long`.
DEEP = {
  *('resnet32', 'resnet38', 'resnet44', 'resnet56', 'resnet110', 'resnet116'),
  *('resnet38x2', 'resnet110x2', 'resnet32x4', 'resnet38x4'),
  *('vgg13', 'vgg16', 'vgg19', 'wrn_40_1', 'wrn_40_2'),
}


def by_depth(parameters):
  """Return {network: its parameters} as pytest's, those of deep networks marked as long."""
  return [
    pytest.param(*values, marks=[pytest.mark.long] if name in DEEP else [])
    for name, values in parameters.items()
  ]
