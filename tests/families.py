"""The smallest model of every family, for tests that need one of each."""

import pytest

from pidkd_jax import models
from pidkd_jax.models import (
  convnext,
  imagenet_resnet,
  mobilenetv2,
  shufflenetv1,
  shufflenetv2,
  vit,
)

SMALL = {
  'ResNet': 'resnet8',
  'ImageNetResNet': 'ResNet18',
  'WRN': 'wrn_16_1',
  'VGG': 'vgg8',
  'MobileNetV2': 'MobileNetV2',
  'MobileNetV2TinyImageNet': 'MobileNetV2_TinyImageNet',
  'ShuffleNetV1': 'ShuffleV1',
  'ShuffleNetV2': 'ShuffleV2',
  'ConvNeXt': 'convnext_atto',
  'ViT': 'vit_tiny_patch4_32',
}
# Families that tests/models/test_timm_convolutional.py tests by toys. With the published ones every
# test of all families would take long.
IN_TOYS = (
  'PhotographResNet',
  'MobileNetV3Small',
  'MobileNetV3Large',
  'EfficientNet',
  'EfficientNetLite',
)
# Families of which the reference figures have no network.
_NEWER = ('ConvNeXt', 'ViT', *IN_TOYS)


def family(name: str) -> str:
  """Return the family of a network."""
  return type(models.create(name, num_classes=1)).__name__


def literature() -> list[str]:
  """Return the names of RepDistiller's, mdistiller's and SimKD's networks."""
  return [name for name in models.names() if family(name) not in _NEWER]


def shorten(patch: pytest.MonkeyPatch) -> None:
  """Leave deep families few blocks, of every kind. Maps keep their shapes; a ViT has two stages.

  Tracing and compilation are what networks cost in tests.
  """
  for name in ('ResNet18', 'ResNet50'):
    patch.setitem(imagenet_resnet.MODELS[name].keywords, 'blocks_per_stage', (1, 1, 1, 1))
  patch.setitem(convnext.MODELS['convnext_atto'].keywords, 'blocks_per_stage', (1, 1, 1, 1))
  patch.setattr(convnext, '_KERNEL', 3)  # Each tap is an operation.
  patch.setitem(vit.MODELS['vit_tiny_patch4_32'].keywords, 'layers', 2)
  patch.setattr(shufflenetv1, '_UNITS', (2, 1, 1))
  patch.setattr(shufflenetv2, '_UNITS', (1, 0, 0))
  rows = [(*row[:2], 1) for row in mobilenetv2._ROWS]
  rows[1] = (*rows[1][:2], 2)  # The only one with a shortcut.
  patch.setattr(mobilenetv2, '_ROWS', tuple(rows))
