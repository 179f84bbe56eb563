"""Projectors that differ in receptive field or stage, and a second target."""

from pidkd_jax.experiment import config, pairs

MIXED = 'mixed:Mixed'


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs = c.eval_every = 6
  c.trials = 2
  rows = {
    'pidkd': config.row('pidkd', num_projectors=3, factor=2),
    'dilated': config.row(MIXED, kind='dilated'),
    'stages': config.row(MIXED, kind='stages'),
    'depth_3': config.row(MIXED, depth=3.0),
    'depth_30': config.row(MIXED, depth=30.0),
    'depth_100': config.row(MIXED, depth=100.0),
    'simkd_depth_30': config.row(MIXED, kind='one', depth=30.0),
    # As large as three projectors of 64.
    'wide_depth_30': config.row(MIXED, kind='one', hidden=118, depth=30.0),
  }
  c.cohorts = {'all': {'rows': rows}}
  return c
