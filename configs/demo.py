"""The demo: a teacher that saw all 1,297 digits, and students that see five of each.

    pidkd train --config demo --workdir runs/demo

With all images, the student alone is as good as its teacher (configs/digits.py). Five is the most
of 20, 10 and 5 images of each class at which it stays more than five points below. 300 steps are
the fewest of 150 and 300 at which it is within one standard error of twice as many. Neither choice
looked at a student with a teacher.

Cost: about two minutes on two CPU cores.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.DIGITS, 'pidkd,kd_1_1,scratch')
  c.teacher.total_epochs = 30  # As in configs/digits.py, which finds this teacher again.
  c.data.name = 'digits'
  c.data.shots = 5
  c.batch_size = 50  # All images of the students, so an epoch is one step.
  c.total_epochs = 300
  c.eval_every = 25
  c.trials = 3
  return c
