"""The rivals' own weights: eight for each, 0.03 to 100 times the published one.

    pidkd study --config weights --workdir runs/weights

The published values come from trainings of 240 epochs, and a shorter training may need others.
scale.py studies the loss of PIDKD and SimKD with as many settings. Choose on other images than
those that judge the comparison in methods.py.
"""

from pidkd_jax import methods
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
# By label, which has no point in it: it is a part of a flag's name.
TIMES = {
  'x003': 0.03,
  'x01': 0.1,
  'x03': 0.3,
  'x1': 1.0,
  'x3': 3.0,
  'x10': 10.0,
  'x30': 30.0,
  'x100': 100.0,
}


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  rows = {}
  for method, names in WEIGHTS.items():
    published = methods.defaults(method)
    for label, times in TIMES.items():
      rows[f'{method}_{label}'] = config.row(
        method, **{name: times * published[name] for name in names}
      )
  c.cohorts = {'all': {'rows': rows}}
  return c
