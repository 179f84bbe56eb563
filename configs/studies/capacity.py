"""Does PIDKD win by its projectors, or only because it deploys more?

    pidkd study --config capacity --workdir runs/capacity

The study compares PIDKD with SimKD, with one projector that has as many parameters as its stack,
and with plain students, taught by labels alone and by KD. The plain students are widened until they
deploy as many parameters. A pair whose student cannot be widened ends in one line.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  c.trials = 3
  rows = {name: config.row(name, pair) for name in ('pidkd', 'simkd', 'wide', 'scratch', 'kd_1_1')}
  for name in ('scratch', 'kd_1_1'):
    rows[f'{name}_widened'] = config.row(name, widen='pidkd')
  c.cohorts = {'all': {'rows': rows}}
  return c
