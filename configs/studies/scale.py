"""The weight of the feature loss and what else could drive it, in trainings of 10 epochs.

    pidkd study --config scale --workdir runs/scale

The error counts in units of the target's mean square, so that a weight means the same for every
teacher; in `published` it does not, and the weight is 1.
"""

from pidkd_jax.experiment import config, pairs

WEIGHTS = (1, 3, 10, 30, 100)


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  settings = {f'weight{weight}': {'weight': float(weight)} for weight in WEIGHTS} | {
    'published': {'weight': 1.0, 'normalize': False},
    'warmup': {'warmup': 0.2},
    'projectors_slow': {'projector_rate': 0.3},
    'projectors_fast': {'projector_rate': 3.0},
  }
  rows = {label: config.row('pidkd', pair, **fields) for label, fields in settings.items()}
  c.cohorts = {'epochs10': {'total_epochs': 10, 'rows': rows}}
  return c
