"""Do SimKD and one projector of the stack's size want another weight or rate than PIDKD?"""

from pidkd_jax.experiment import config, pairs

SIZE = {'num_projectors': 3, 'factor': 2}


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs = c.eval_every = 6
  c.trials = 2
  rows = {}
  for weight in (10.0, 100.0):
    rows[f'simkd_{weight:.0f}'] = config.row('simkd', weight=weight)
    rows[f'wide_{weight:.0f}'] = config.row('wide', weight=weight, **SIZE)
    rows[f'pidkd_{weight:.0f}'] = config.row('pidkd', weight=weight, **SIZE)
  rows['wide_rate_third'] = config.row('wide', projector_rate=1 / 3, **SIZE)
  rows['pidkd_rate_3'] = config.row('pidkd', projector_rate=3.0, **SIZE)
  c.cohorts = {'all': {'rows': rows}}
  return c
