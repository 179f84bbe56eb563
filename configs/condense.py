"""A bundle with q projectors becomes a student with one projector, and one with none.

    pidkd condense --config condense --bundle DIR --workdir runs/condensed

The encoder is trained already, so a quarter of the usual epochs suffice, at less than half the
learning rate. `--config.rows.one.factor=4` sets the projector's size. docs/lab/deployment.md
has the results of short trainings.
"""

from pidkd_jax.experiment import config


def get_config(arg=''):
  c = config.cohort(arg)
  c.total_epochs = 60
  c.learning_rate = 0.02
  c.rows.one = config.row('simkd')
  c.rows.none = config.row('linear')
  return c
