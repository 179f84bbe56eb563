"""The rivals' own weights: the published one, and five times it.

    python scripts/study.py --config configs/studies/weights.py --workdir runs/weights

The published values come from trainings of 240 epochs, and a shorter one may want more. PIDKD's and
SimKD's weight is studied in scale.py. Choose on other images than those that the comparison in
methods.py is judged on.
"""

from pidkd_jax import config, methods, pairs

WEIGHTS = {
  'at': ('weight',),
  'crd': ('weight',),
  'dkd': ('beta',),
  'fitnet': ('weight',),
  'kd_01_09': ('weight',),
  'kd_1_1': ('weight',),
  'pefd': ('weight',),
  'pkt': ('weight',),
  'reviewkd': ('weight',),
  'rkd': ('distance_weight', 'angle_weight'),
  'semckd': ('weight',),
  'sp': ('weight',),
  'srrl': ('weight',),
  'vid': ('weight',),
}


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  rows = {}
  for method, names in WEIGHTS.items():
    published = methods.defaults(method)
    for times, label in ((1.0, 'published'), (5.0, 'five')):
      rows[f'{method}_{label}'] = config.row(
        method, **{name: times * published[name] for name in names}
      )
  c.cohorts = {'all': {'rows': rows}}
  return c
