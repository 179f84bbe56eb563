"""Are the features useful on other data? A linear classifier on them, as in arXiv:1910.10699.

    pidkd study --config transfer --workdir runs/transfer

`there` trains on CIFAR-100 and is probed on the digits; `back` is the reverse. Name an archive of
your own twice: `--config.data.archive=FILE --config.cohorts.back.probe.archive=FILE`.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  rows = {name: config.row(name, pair) for name in ('pidkd', 'simkd', 'kd_1_1', 'crd', 'scratch')}
  digits, cifar100 = (
    {'name': name, 'archive': '', 'verify': True, 'image_size': 0}
    for name in ('digits', 'cifar100')
  )
  c.cohorts = {
    'there': {'rows': rows, 'probe': digits},
    'back': {'rows': rows, 'probe': cifar100, 'data': digits},
  }
  return c
