"""All methods on the same batches, each trial from the same student; PIDKD and SimKD with five.

    python scripts/study.py --config configs/studies/methods.py --workdir runs/methods

Another pair: `configs/studies/methods.py:vgg13-vgg8`. Every method has its defaults, which come
from trainings of 240 epochs; a setting of your own is
`--config.cohorts.all.rows.fitnet.weight=20`.
"""

from pidkd_jax import config, methods, pairs

# What other studies are about: scale.py and capacity.py.
ELSEWHERE = ('pidkd_published', 'simkd_published', 'wide')

# Standardised logits are small, so their authors weigh the teacher nine times (arXiv:2403.01427).
STANDARDIZED = {
  'kd_01_09': {'weight': 9.0},
  'dkd': {'alpha': 9.0, 'beta': 72.0},
}


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  c.trials = 3
  rows = {name: config.row(name, pair) for name in methods.names() if name not in ELSEWHERE}
  for name, fields in STANDARDIZED.items():
    rows[f'{name}_standardized'] = config.row(name, standardize=True, temperature=2.0, **fields)
  for name in ('pidkd', 'simkd'):
    rows[name].trials = 5
  c.cohorts = {'all': {'rows': rows}}
  return c
