"""Tiny-ImageNet at 64x64: ResNet-32x4 teaches ResNet-8x4 by the CIFAR-100 recipe unchanged.

    pidkd train --config tiny_imagenet --workdir runs/tiny_imagenet

`tiny_imagenet:ResNet18-MobileNetV2_TinyImageNet` takes another pair
(`pidkd_jax/experiment/pairs.py` lists them). Public recipes differ: this is that of spot-adaptive
distillation; mdistiller has 200 epochs, batch 256, learning rate 0.2 and drops at 60, 120 and
160. The test split is the validation split, as in all papers. Reported in the literature:
ResNet-8x4 alone 52.41 (BNR-KD). We could not download Tiny-ImageNet where this was written;
docs/lab/results.md has a run on a miniature of it.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.TINY_IMAGENET)
  c.data.name = 'tiny_imagenet'
  return c
