"""Ways to integrate that may make q projectors pay at equal size."""

from pidkd_jax.experiment import config, pairs

LEAD, WIDE = 'leads:Lead', 'leads:WideLead'


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs = c.eval_every = 6
  c.trials = 2
  rows = {
    'simkd': config.row('simkd'),
    'pidkd': config.row('pidkd'),
    'wide': config.row('wide', num_projectors=3, factor=2),
    'logit_1': config.row(LEAD, logit=1.0),
    'logit_10': config.row(LEAD, logit=10.0),
    'each_03': config.row(LEAD, each=0.3),
    'each_1': config.row(LEAD, each=1.0),
    'subset': config.row(LEAD, subset=True),
    'simkd_logit_1': config.row(LEAD, logit=1.0, num_projectors=1),
    'wide_logit_1': config.row(WIDE, logit=1.0),
  }
  c.cohorts = {'all': {'rows': rows}}
  return c
