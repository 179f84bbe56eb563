"""What a tenth of the labels and all images give, against the tenth alone: 8x8 digits.

    pidkd study --config unlabelled --workdir runs/unlabelled

13 of 130 training images of each class have labels, and the teacher trains on these alone. `all`
distils on all 1,297 images, without labels. `tenth` trains on the 130 images, with their labels or
with the teacher alone. Every training has 400 steps of 64 images. It takes a few minutes on two
idle cores.
"""

from pidkd_jax.experiment import config, pairs

SHOTS, STEPS, BATCH, IMAGES = 13, 400, 64, 1297


def get_config(arg=''):
  c = config.study(arg, pairs.DIGITS)
  pair = pairs.chosen(pairs.DIGITS, arg)
  few = STEPS // (10 * SHOTS // BATCH)
  c.data.name = 'digits'
  c.data.shots = c.teacher.shots = SHOTS
  c.teacher.total_epochs = few
  c.trials = 5
  free = {name: config.row(name, pair) for name in ('pidkd', 'simkd')}
  labels = {name: config.row(name) for name in ('kd_1_1', 'scratch')}
  c.cohorts = {
    'all': {
      'rows': free,
      'data': {'unlabelled': 'rest'},
      'total_epochs': STEPS // (IMAGES // BATCH),
    },
    'tenth': {'rows': {**free, **labels}, 'total_epochs': few},
  }
  for cohort in c.cohorts.values():
    cohort.eval_every = cohort.total_epochs
  return c
