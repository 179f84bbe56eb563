"""The rivals' own weights: eight for each, 0.03 to 100 times the published one.

    pidkd study --config weights --workdir runs/weights

The published values come from trainings of 240 epochs, and a shorter training may need others.
scale.py studies the loss of PIDKD and SimKD. Choose on other images than
those that judge the comparison in methods.py.
"""

from pidkd_jax.experiment import config, pairs

# What is multiplied: where a method has more than one weight of its own, those whose ratio its
# authors keep.
WEIGHTS = {
  'at': ('weight',),
  'crd': ('weight',),
  'dkd': ('beta',),
  'dkd_standardized': ('alpha', 'beta'),
  'fitnet': ('weight',),
  'kd_01_09': ('weight',),
  'kd_01_09_standardized': ('weight',),
  'kd_1_1': ('weight',),
  'pefd': ('weight',),
  'pkt': ('weight',),
  'reviewkd': ('weight',),
  'rkd': ('distance_weight', 'angle_weight'),
  'semckd': ('weight',),
  'sp': ('weight',),
  'srrl': ('feature_weight', 'weight'),
  'vid': ('weight',),
}


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.cohorts = {'all': {'rows': config.multiples(WEIGHTS)}}
  return c
