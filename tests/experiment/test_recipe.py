"""Recipes beyond the published one: exact on resume, for students and for the teacher."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline.soft_labels import SoftLabels
from pidkd_jax.experiment import assembly, config, planning, run
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training import step
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

DATA = noise.dataset(32, 8, 3)
MODERN = Recipe(
  total_epochs=2,
  batch_size=8,
  optimizer='adamw',
  schedule='cosine',
  warmup=0.2,
  clip_norm=0.5,
  label_smoothing=0.1,
  mixup=0.2,
  cutmix=1.0,
  ema=0.9,
)


class Killed(BaseException):
  """What a kill does to a run, within one process."""


@pytest.mark.usefixtures('compiled_once')
def test_a_killed_run_ends_with_the_same_bits(taught, tmp_path, monkeypatch):
  """An epoch has three steps, of which the teacher sees two in one pass: calls of 2 and 1.

  The kill is after the third call, the first of the second epoch; the first two compile.
  """
  member = Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OptimizerHparams(0.01, 0.05), 0)
  experiment = Experiment((member,), MODERN, seed=0, padding=1, flip=True, holdout=0.25)
  group = devices.DeviceGroup(tuple(jax.devices()[:1]), True)
  execution = Execution(2**40, (group,), checkpoint_seconds=0, steps_per_call=2, look_ahead=2)

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


@pytest.mark.parametrize('method', ['dkd', 'crd'])
def test_a_method_that_needs_single_images_takes_no_mixture(taught, method):
  def assemble(method, **recipe):
    member = Member('row', 'tests.plain:Plain', method, {}, OptimizerHparams(), 0)
    recipe = Recipe(2, 4, **recipe)
    experiment = Experiment((member,), recipe, seed=0, padding=1, flip=True)
    return assembly.assemble(experiment, DATA, taught.network)

  with pytest.raises(
    UserError, match=rf'mixup is 0.2 and cutmix 0.0, and {method} reads the class'
  ):
    assemble(method, mixup=0.2)
  assert assemble(method, label_smoothing=0.1).shapes.soft.shape == (4, 3)
  assert assemble('pidkd', cutmix=1.0).shapes.soft.shape == (4, 3)


def test_labels_are_smoothed_in_the_loss(taught):
  """The cross-entropy moves by the share times (mean over the classes - own class)."""
  batches = DATA.train.batches(
    DATA.spec.normalisation, jax.random.key(0), batch_size=4, padding=0, flip=False
  )
  hard = batches.batch(batches.order(jnp.int32(0)), jnp.int32(0))
  member = Member('kd', 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(), 0)
  experiment = Experiment((member,), Recipe(2, 4), seed=0, padding=0, flip=False)
  [learner] = assembly.assemble(experiment, DATA, None).cohort.learners
  state = step.init(learner, hard, None)

  def loss(soft):
    batch = hard.replace(soft=soft)
    return step.loss(learner, state.params, state.collections, batch, None, jnp.int32(0))[0]

  one_hot, uniform = jax.nn.one_hot(hard.label, 3), jnp.full((4, 3), 1 / 3)
  smooth = SoftLabels(3, smoothing=0.3)(jax.random.key(0), hard.image, hard.label)[1]
  np.testing.assert_allclose(loss(one_hot), loss(None), rtol=1e-6)
  np.testing.assert_allclose(loss(smooth), 0.7 * loss(one_hot) + 0.3 * loss(uniform), rtol=1e-5)


def test_the_teacher_has_a_recipe_of_its_own():
  c = config.default('kd_1_1')
  c.student = c.teacher.model = 'tests.plain:Plain'
  c.batch_size, c.teacher.batch_size, c.momentum, c.teacher.total_epochs = 8, 16, 0.8, 3
  c.schedule, c.teacher.optimizer, c.teacher.warmup = 'cosine', 'adamw', 0.1
  found = planning.teacher_experiment(c, DATA, None).recipe
  assert found == dataclasses.replace(Recipe(3, 16, momentum=0.8), optimizer='adamw', warmup=0.1)
