"""The smallest model of every family, for tests that need one of each."""

from pidkd_jax import models

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
