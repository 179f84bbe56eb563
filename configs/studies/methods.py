"""All methods on the same batches, each trial from the same student; PIDKD and SimKD with five.

    pidkd study --config methods --workdir runs/methods

`methods:vgg13-vgg8` takes another pair. Every method has its defaults. Those of the rivals are
published ones, most of them for 240 epochs; `--config.cohorts.all.rows.fitnet.weight=20` sets one
of your own.
"""

from pidkd_jax import methods
from pidkd_jax.experiment import config, pairs

# What other studies are about, scale.py and capacity.py, and what is for bundles: condense.py.
ELSEWHERE = ('pidkd_published', 'simkd_published', 'wide', 'linear')


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  c.trials = 3
  rows = {name: config.row(name, pair) for name in methods.names() if name not in ELSEWHERE}
  for name in ('pidkd', 'simkd'):
    rows[name].trials = 5
  c.cohorts = {'all': {'rows': rows}}
  return c
