"""A run whose teacher sees the batches of several steps in one pass."""

import dataclasses

import jax
import numpy as np

from pidkd_jax.data import noise
from pidkd_jax.experiment import assembly, run
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

DATA = noise.dataset(32, 8, 3)


def test_batches_seen_together_come_to_the_same(taught, tmp_path):
  """An epoch has five steps, which are one call: three passes over two batches, one to spare."""
  member = Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OptimizerHparams(), 0)
  experiment = Experiment((member,), Recipe(total_epochs=1, batch_size=6), 0, padding=1, flip=True)
  group = devices.DeviceGroup(tuple(jax.devices()[:1]), True)
  execution = Execution(2**40, (group,), checkpoint_seconds=0, steps_per_call=5, look_ahead=2)
  assembled = assembly.assemble(experiment, DATA, taught.network)
  assert assembled.division(execution).look_ahead == 2

  def execute(name, execution=execution):
    run.execute(experiment, DATA, taught, tmp_path / name, 'students', execution)
    return dict(np.load(tmp_path / name / 'bundles' / 'kd-0' / 'variables.npz'))

  whole = execute('whole')
  one = execute('one', dataclasses.replace(execution, look_ahead=1))
  for name in whole:
    np.testing.assert_allclose(one[name], whole[name], rtol=1e-3, atol=1e-4)
