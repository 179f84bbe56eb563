"""What a job would take: arithmetic from one timed step, and nothing that is trained or written."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data import noise
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.experiment import forecast, teacher
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

NAME = 'tests.plain:Plain'
DATA = noise.dataset(32, 8, 3)
# Seconds of a look of the teacher, of a compilation and of a step.
OBSERVING, COMPILING, STEPPING = 0.25, 7.0, 0.5


@pytest.fixture(scope='module')
def taught():
  """Return the bundle of a teacher as shapes."""
  model = models.create(NAME, num_classes=3)
  image = jnp.zeros((1, 8, 8, 3))
  network = Network(jax.eval_shape(model.init, jax.random.key(0), image), model)
  return Bundle(network, {}, 'toy', pathlib.Path('toy'))


@pytest.fixture
def timed(monkeypatch):
  """Put fixed times in the place of a clock's, and return the names of what was timed."""
  names = []

  def timed(cohort, shapes, name, look_ahead):
    assert look_ahead == 1
    names.append(name)
    return OBSERVING if cohort.teacher is not None else 0.0, COMPILING, STEPPING

  monkeypatch.setattr(forecast, '_timed', timed)
  return names


def experiment(**methods):
  """Return an experiment of {label: (method, trials)}."""
  members = tuple(
    Member(label, NAME, method, {}, OptimizerHparams(), trial)
    for label, (method, trials) in methods.items()
    for trial in trials
  )
  recipe = Recipe(total_epochs=3, batch_size=16)
  return Experiment(members, recipe, seed=0, padding=1, flip=True, eval_every=2)


def execution(memory=2**40):
  return Execution(memory, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))


def part(plan, taught, memory=2**40):
  return forecast.part(plan, DATA, taught and taught.network, None, execution(memory))


def test_times_follow_from_one_step(taught, timed):
  found = part(experiment(kd=('kd_1_1', (0,)), own=('pidkd', (0, 1))), taught)
  assert timed == ['own-0'] and found.timed == 'own' and found.members == {'kd': 1, 'own': 2}
  assert found.total_steps == 3 * 2
  assert found.step_seconds['own'] == STEPPING
  # The projectors' share is all that the student without them saves.
  assert 0 < found.step_seconds['kd'] < STEPPING
  assert found.costs['kd'] == cost(taught.network, (8, 8, 3))
  assert found.shared_seconds == 6 * OBSERVING
  # Of three epochs two are evaluated, and a step has forward and backward pass of 16 images.
  for label, members in found.members.items():
    training = 6 * found.step_seconds[label]
    assert members * training < found.seconds[label] < 1.5 * members * training
  assert found.total_seconds == sum(found.seconds.values()) + 6 * OBSERVING
  assert (found.compile_seconds, found.programs) == (COMPILING, 5)


def test_a_typical_member_is_timed(taught, timed):
  part(experiment(a=('kd_1_1', (0,)), b=('semckd', (0,)), c=('pidkd', (0,))), taught)
  assert timed == ['c-0']


def test_a_step_has_about_three_times_the_multiply_adds_of_a_forward_pass(taught):
  assembled = forecast.assembly.assemble(experiment(kd=('kd_1_1', (0, 1))), DATA, taught.network)
  counts = forecast._step_multiply_adds(assembled)
  forward = 16 * cost(taught.network, (8, 8, 3)).multiply_adds
  assert counts.keys() == {'kd-0', 'kd-1'} and len(set(counts.values())) == 1
  # The gradients of strided convolutions count the zeros between their values.
  assert 2.5 * forward < counts['kd-0'] < 8 * forward


def test_accumulation_divides_a_step_and_saves_no_multiply_adds(taught):
  def count(number):
    plan = experiment(kd=('kd_1_1', (0,)))
    recipe = dataclasses.replace(plan.recipe, accumulation=number)
    plan = dataclasses.replace(plan, recipe=recipe)
    return forecast._step_multiply_adds(forecast.assembly.assemble(plan, DATA, taught.network))

  assert count(4) == count(1)


def test_a_cohort_that_does_not_fit_is_taught_in_parts(taught, timed):
  plan = experiment(kd=('kd_1_1', (0, 1)))
  whole = part(plan, taught)
  halved = part(plan, taught, whole.memory - 1)
  assert (whole.cohorts, halved.cohorts) == (1, 2) and halved.memory < whole.memory
  assert halved.shared_seconds == 2 * whole.shared_seconds


def test_a_step_is_timed_on_arrays_of_the_right_shapes(taught, monkeypatch):
  monkeypatch.setattr(forecast, '_SECONDS', 0.0)
  found = part(experiment(kd=('kd_1_1', (0,))), taught)
  assert found.compile_seconds > 10 * found.step_seconds['kd'] > 0 < found.shared_seconds


def test_the_text_has_all_and_fits_the_screen(taught, timed, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  students = experiment(kd=('kd_1_1', (0, 1)))
  training = teacher.Training(experiment(teacher=('scratch', (-1,))), pathlib.Path('kept'))
  args = (DATA, None, execution(), pathlib.Path('run'))
  text = forecast.describe(students, training, *args)
  assert [line for line in text.splitlines() if len(line) > 80] == []
  flat = ' '.join(text.split())
  for expected in (
    'nothing is trained or written',
    'Data: noise, 32 training and',
    f'Teacher: {NAME}; it is trained first: 3 epochs, 6 steps of 16 images',
    f'Students: {NAME}; 2 members: 3 epochs, 6 steps of 16 images',
    'Memory: about ',
    'and the compilation of at least 5 programs (7 s for one of them)',
    'Time: one step of teacher and one of kd was compiled and timed here',
    'off by a factor of two',
  ):
    assert expected in flat, flat
  begun = forecast.describe(students, dataclasses.replace(training, start=taught), *args)
  assert 'it is trained first from the weights of toy: 3 epochs' in ' '.join(begun.split())
  kept = forecast.describe(students, taught, *args)
  assert 'Teacher:   Plain of toy; it is not trained' in kept
  assert 'compilation of at least 3 programs' in ' '.join(kept.split())
  assert not list(tmp_path.iterdir())


def test_times_have_a_unit_that_suits_them():
  given = (0.2, 59.6, 119, 121, 7201, 1e6)
  assert [*map(forecast.duration, given)] == ['1 s', '60 s', '119 s', '2 min', '2 h', '12 days']
