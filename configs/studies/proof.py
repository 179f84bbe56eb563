"""Do several integrated projectors beat one? The arms, frozen before the first run.

    pidkd study --config proof --workdir runs/proof --config.trials=20

docs/lab/proof.md has the questions, the data and the analysis, written before the runs.
"""

from pidkd_jax.experiment import config, pairs

STACKS = {'q3_f2': {'num_projectors': 3, 'factor': 2}, 'q2_f1': {'num_projectors': 2, 'factor': 1}}


def get_config(arg=''):
  c = config.study(arg or 'resnet14x2-resnet8', pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.total_epochs, c.teacher.total_epochs = 30, 20
  c.eval_every = 30
  c.checkpoint_seconds = 600.0
  rows = {
    'scratch': config.row('scratch'),
    # The weights that the study `weights` chose on other classes.
    'kd': config.row('kd_1_1', weight=3.0),
    'reviewkd': config.row('reviewkd', weight=150.0),
    'simkd': config.row('simkd'),
  }
  for name, size in STACKS.items():
    rows[f'pidkd_{name}'] = config.row('pidkd', **size)
    rows[f'wide_{name}'] = config.row('wide', **size)
  c.cohorts = {'all': {'rows': rows}}
  return c
