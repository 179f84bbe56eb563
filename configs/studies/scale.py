"""How strongly, and by what rule, the feature loss has to drive a training of which length.

    python scripts/study.py --config configs/studies/scale.py --workdir runs/scale

The same settings at two lengths. `weight1` is the published setting. `normalized*` counts the
error in units of the target's mean square, so that the weight means the same for every teacher.
"""

from pidkd_jax import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.find(pairs.CIFAR100, arg or next(iter(pairs.CIFAR100)))
  c.data.name = 'cifar100'
  settings = {f'weight{weight}': {'weight': float(weight)} for weight in (1, 3, 10, 30, 100)}
  settings |= {
    f'normalized{weight}': {'weight': float(weight), 'normalize': True} for weight in (10, 30)
  }
  settings |= {
    'warmup': {'weight': 30.0, 'warmup': 3.0},
    'projectors_slow': {'weight': 30.0, 'projector_rate': 0.3},
    'projectors_fast': {'weight': 30.0, 'projector_rate': 3.0},
  }
  rows = {label: config.row('pidkd', pair, **fields) for label, fields in settings.items()}
  c.cohorts = {
    'short': {'total_epochs': 10, 'rows': rows},
    'long': {'total_epochs': 30, 'rows': rows},
  }
  return c
