"""The paper's own experiment: the number and size of projectors, for a pair.

    pidkd study --config projectors --workdir runs/projectors

The report chooses the smallest size within one standard error of the best. The choice for a pair
belongs in `pidkd_jax/experiment/pairs.py`.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.trials = 2
  c.cohorts = {
    'all': {
      'rows': {
        f'q{q}_f{f}': config.row('pidkd', num_projectors=q, factor=f)
        for q in (1, 2, 3, 4, 6)
        for f in (1, 2, 4, 8)
      }
    }
  }
  return c
