"""Recipes beyond the published one: exact on resume, for students and for the teacher."""

import dataclasses

import jax
import numpy as np
import pytest

from pidkd_jax.data import noise
from pidkd_jax.experiment import config, planning, run
from pidkd_jax.experiment.experiment import Execution, Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training.member import Member
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

DATA = noise.dataset(32, 8, 3)
MODERN = Recipe(
  total_epochs=2, batch_size=4, optimizer='adamw', schedule='cosine', warmup=0.2, clip_norm=0.5
)


class Killed(BaseException):
  """What a kill does to a run, within one process."""


def test_a_killed_run_ends_with_the_same_bits(taught, tmp_path, monkeypatch):
  """An epoch has eight steps: calls of 5 and 3; the kill is between the first two epochs."""
  member = Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OptimizerHparams(0.01, 0.05), 0)
  experiment = Experiment((member,), MODERN, seed=0, padding=1, flip=True)
  group = devices.DeviceGroup(tuple(jax.devices()[:1]), True)
  execution = Execution(2**40, (group,), checkpoint_seconds=0, steps_per_call=5, look_ahead=2)

  def execute(name):
    run.execute(experiment, DATA, taught, tmp_path / name, 'students', execution)
    return dict(np.load(tmp_path / name / 'bundles' / 'kd-0' / 'variables.npz'))

  def kill(*_):
    raise Killed

  whole = execute('whole')
  with monkeypatch.context() as patch:
    patch.setattr(Progress, 'advance', kill)
    with pytest.raises(Killed):
      execute('killed')
  resumed = execute('killed')
  assert all(resumed[name].tobytes() == whole[name].tobytes() for name in whole)


def test_the_teacher_has_a_recipe_of_its_own():
  c = config.default('kd_1_1')
  c.student = c.teacher.model = 'tests.plain:Plain'
  c.batch_size, c.teacher.batch_size, c.momentum, c.teacher.total_epochs = 8, 16, 0.8, 3
  c.schedule, c.teacher.optimizer, c.teacher.warmup = 'cosine', 'adamw', 0.1
  found = planning.teacher_experiment(c, DATA, None).recipe
  assert found == dataclasses.replace(Recipe(3, 16, momentum=0.8), optimizer='adamw', warmup=0.1)
