"""How to integrate the projectors' outputs: their mean, learned weights, or a loss on each.

    pidkd study --config integration --workdir runs/integration

In `separate` each projector has to imitate the target by itself, and their mean is deployed.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  c.trials = 3
  rows = {
    'mean': config.row('pidkd', pair),
    'learned': config.row('pidkd', pair, integration='learned'),
    'separate': config.row('pidkd', pair, separate=True),
    'one': config.row('simkd', pair),
  }
  c.cohorts = {'all': {'rows': rows}}
  return c
