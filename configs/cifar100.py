"""CIFAR-100: ResNet-32x4 teaches ResNet-8x4, or another pair of the literature, by its recipe.

    pidkd train --config cifar100 --workdir runs/cifar100

Teacher and student train for 240 epochs each. `cifar100:vgg13-vgg8` takes another pair
(`pidkd_jax/experiment/pairs.py` lists them). `cifar100:pidkd,scratch,kd_1_1,simkd` trains the four
methods in one cohort, and `cifar100:vgg13-vgg8:pidkd,kd_1_1` does both.

The literature's figures for the first pair, in another harness and at its best test epoch (SimKD,
arXiv:2203.14001): teacher 79.42, student alone 73.09 +- 0.30, KD 74.42, SimKD 78.08 +- 0.15. We
could not download CIFAR-100 where this was written, so there is no figure of ours yet;
docs/lab/results.md has ours on TIN-100.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  return c
