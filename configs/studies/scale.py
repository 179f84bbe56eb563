"""The weight and the rule of the feature loss, for trainings of different length.

    pidkd study --config scale --workdir runs/scale

Every rule trains for 10 epochs, and the larger weights again for 30. `weight1` is the published
setting. `normalized*` counts the error in units of the target's mean square, so that the weight
means the same for every teacher.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.study(arg, pairs.CIFAR100)
  pair = pairs.chosen(pairs.CIFAR100, arg)
  c.data.name = 'cifar100'
  plain = {f'weight{weight}': {'weight': float(weight)} for weight in (1, 10, 30, 100)}
  larger = {label: fields for label, fields in plain.items() if fields['weight'] > 1}
  others = {
    'normalized30': {'weight': 30.0, 'normalize': True},
    'warmup': {'weight': 30.0, 'warmup': 0.2},
    'projectors_slow': {'weight': 30.0, 'projector_rate': 0.3},
    'projectors_fast': {'weight': 30.0, 'projector_rate': 3.0},
  }

  def rows(settings):
    return {label: config.row('pidkd', pair, **fields) for label, fields in settings.items()}

  c.cohorts = {
    'epochs10': {'total_epochs': 10, 'rows': rows(plain | others)},
    'epochs30': {'total_epochs': 30, 'rows': rows(larger)},
  }
  return c
