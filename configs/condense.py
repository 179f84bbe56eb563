"""A bundle with q projectors becomes a student with one projector and one with none.

    python scripts/condense.py --config configs/condense.py --bundle DIR --workdir runs/condensed

A quarter of the epochs of a training from the start, at less than half its learning rate, as the
encoder is trained already. `--config.rows.one.factor=4` sets the projector's size;
docs/lab/deployment.md has what short trainings came to.
"""

from pidkd_jax.experiment import config


def get_config(arg=''):
  del arg
  c = config.cohort()
  c.total_epochs = 60
  c.learning_rate = 0.02
  c.rows.one = config.row('simkd')
  c.rows.none = config.row('linear')
  return c
