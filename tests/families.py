"""A small network of every family, for tests that need one of each; the rest is long."""

from collections.abc import Collection, Iterable
from typing import Any

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


def at_length(cases: Iterable[Any], short: Collection[Any]) -> list[Any]:
  """Cases for `parametrize`: those that are not `short` are left to `make test-long`."""
  return [
    case
    if case in short
    else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
    for case in cases
  ]
