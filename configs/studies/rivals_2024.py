"""The later rivals' own weights: eight for each, 0.03 to 100 times the published one.

    pidkd study --config rivals_2024 --workdir runs/rivals_2024

It does for them what weights.py does for the others. Choose on other images than those that judge
the comparison in methods.py.
"""

from pidkd_jax.experiment import config, pairs

# What is multiplied: where a method has more than one weight of its own, those whose ratio its
# authors keep.
WEIGHTS = {
  'dist': ('weight', 'class_weight'),
  'srd': ('weight',),
  'norm': ('weight',),
  'thkd': ('weight',),
  'vkd': ('weight',),
  'wttm': ('weight',),
  'catkd': ('weight',),
  'ctkd': ('weight',),
  'mlkd': ('weight',),
  'mlkd_standardized': ('weight',),
}


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.cohorts = {'all': {'rows': config.multiples(WEIGHTS)}}
  return c
