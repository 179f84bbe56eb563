"""The embedded default: 1,797 real handwritten digits, 8x8, from scikit-learn.

    pidkd train --config digits --workdir runs/digits

The digits are easy: what separates the rows is within the spread of seeds, and this run shows that
everything works, not which method is better. configs/demo.py shows what a teacher gains.
"""

from pidkd_jax.experiment import config, pairs


def get_config(arg=''):
  c = config.default(arg, pairs.DIGITS, 'pidkd,scratch')
  c.data.name = 'digits'
  c.total_epochs = 30
  c.teacher.total_epochs = 30
  return c
