"""PIDKD, SimKD, KD and the student alone over pairs of the literature, each with its recipe.

    pidkd study --config pairs --workdir runs/pairs

`pairs:vgg13-vgg8,ResNet50-MobileNetV2` takes these two; without an argument all pairs of CIFAR-100
are trained. Pairs with the same teacher share it.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  names = arg.split(',') if arg else list(pairs.CIFAR100)
  c = config.study(names[0], pairs.CIFAR100)
  c.data.name = 'cifar100'
  c.trials = 3
  for name in names:
    pair = pairs.find(pairs.CIFAR100, name.strip())
    c.cohorts[pair.name] = {
      'student': pair.student,
      'teacher': {'model': pair.teacher},
      'learning_rate': pair.learning_rate,
      'rows': {
        method: config.row(method, pair) for method in ('pidkd', 'simkd', 'kd_1_1', 'scratch')
      },
    }
  return c
