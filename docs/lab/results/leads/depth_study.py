"""Does a second target help one projector as much as three? And a larger weight of it?"""

from pidkd_jax.experiment import config, pairs

MIXED = 'mixed:Mixed'


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs = c.eval_every = 6
  c.trials = 2
  rows = {
    'depth_100': config.row(MIXED, depth=100.0),
    'simkd_depth_30': config.row(MIXED, kind='one', depth=30.0),
    # As large as three projectors of 64.
    'wide_depth_30': config.row(MIXED, kind='one', hidden=118, depth=30.0),
  }
  c.cohorts = {'all': {'rows': rows}}
  return c
