"""The smallest model of every family, for tests that need one of each."""

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
