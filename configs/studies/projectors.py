"""The paper's own experiment: how many projectors of which size, for a pair.

    python scripts/study.py --config configs/studies/projectors.py --workdir runs/projectors

The report's rule of choice: the smallest size within one standard error of the best. What it
chooses for a pair belongs into `pidkd_jax/experiment/pairs.py`.
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
