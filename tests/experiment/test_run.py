"""A run: its dry run, its folder, its evaluations and the teachers that it keeps."""

import dataclasses
import json
import logging
import re
import threading
import time

import jax
import pytest

from pidkd_jax import models
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.data.pipeline.streamed_batches import StreamedBatches
from pidkd_jax.evaluation import inference
from pidkd_jax.experiment import assembly, run, teacher, workdir
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training import loop, metrics
from pidkd_jax.training.calls import Calls
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

DATA = noise.dataset(32, 8, 3)


def experiment(*trials, **fields):
  members = tuple(
    Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OptimizerHparams(), trial) for trial in trials
  )
  recipe = Recipe(total_epochs=2, batch_size=16)
  return Experiment(members, recipe, seed=0, padding=1, flip=True, **fields)


def execution():
  return Execution(2**40, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))


def test_a_dry_run_puts_no_image_onto_a_device(taught, monkeypatch):
  monkeypatch.setattr(devices, 'put_replicated', lambda *_: pytest.fail('it put an array'))
  assembly.dry_run(experiment(0, 1), DATA, taught.network)
  assert assembly.costs(experiment(0, 1), DATA, taught.network).keys() == {'kd'}
  assembly.check_memory(experiment(0, 1), DATA, taught.network, 2**40)


def test_a_dry_run_says_in_one_line_what_is_deployed(taught, caplog):
  with caplog.at_level(logging.DEBUG, 'pidkd_jax'):
    assembly.dry_run(experiment(0, 1), DATA, taught.network)
  told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
  sizes = [int(size.replace(',', '')) for size in re.findall(r'\b[\d,]*\d\b', told[0])]
  assert told[0].startswith('parameters: teacher ') and '; kd ' in told[0]
  assert len(told) == 1 and len(sizes) == 2 and min(sizes) > 0
  # The log file has the shapes.
  assert any('classifier/linear/kernel' in message for message in caplog.messages)


def test_calls_of_several_steps_are_compiled_once_side_by_side_and_before(taught, tmp_path, caplog):
  compiled = []

  def listen(event, seconds, **notes):
    if event == '/jax/core/compile/backend_compile_duration':
      compiled.append((notes.get('fun_name'), threading.current_thread().name))

  four = dataclasses.replace(experiment(0, 1), recipe=Recipe(total_epochs=2, batch_size=8))
  several = dataclasses.replace(execution(), steps_per_call=3, side_by_side=True)
  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    with caplog.at_level(logging.INFO, 'pidkd_jax'):
      run.execute(four, DATA, taught, tmp_path / 'run', 'students', several)
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  # A call, the initial state, orders and batches.
  assert caplog.messages.count('students: compiling 4 programs ...') == 1
  # A call whose arguments differed from what was compiled would compile again.
  by_others = [name for name, thread in compiled if thread != threading.current_thread().name]
  for program, count in {'scan': 1, '_normalise': 1, '_logits': 1}.items():
    named = f'jit({program})'
    assert by_others.count(named) == [name for name, _ in compiled].count(named) == count
  assert not any('a call of' in message for message in caplog.messages)
  first, _, second, _ = metrics.read(tmp_path / 'run')
  assert first['compile_seconds'] > second['wall_seconds'] > 0 == second['compile_seconds']


def test_streamed_data_take_one_step_a_call_also_in_the_estimate(taught, monkeypatch):
  assembled = assembly.assemble(experiment(0, 1), DATA, taught.network)
  several = dataclasses.replace(execution(), steps_per_call=3, side_by_side=True)
  assert assembled.division(several).steps > 1
  monkeypatch.setattr(ResidentSplit, 'batches_of', StreamedBatches)
  assert assembled.division(several) == Calls()
  assert assembled.memory(several) == assembled.memory(execution())


def test_tracing_an_evaluation_is_no_training_time(taught, tmp_path, monkeypatch):
  class Slow(loop.Compilation):
    def __init__(self, programs):
      time.sleep(1.5)
      super().__init__(programs)

  monkeypatch.setattr(loop, 'Compilation', Slow)
  run.execute(experiment(0), DATA, taught, tmp_path / 'run', 'students', execution())
  first, _ = metrics.read(tmp_path / 'run')
  assert first['compile_seconds'] > 1.5 > first['wall_seconds']


def test_a_run_of_two_members_makes_its_folder(taught, tmp_path):
  folder = tmp_path / 'not' / 'there'
  run.execute(experiment(0, 1), DATA, taught, folder, 'students', execution())
  assert {path.name for path in (folder / 'bundles').iterdir()} == {'kd-0', 'kd-1'}


def test_methods_make_views_with_the_teachers_normalisation(taught, tmp_path, monkeypatch):
  """The batches have it, so MLKD undoes it to change their pixels."""
  statistics = {'mean': [0.1, 0.2, 0.3], 'std': [0.4, 0.5, 0.6]}
  card = {**taught.card, 'dataset': {**taught.card['dataset'], **statistics}}
  runs = []
  monkeypatch.setattr(run, '_complete', lambda one, preemption: runs.append(one))
  other = dataclasses.replace(taught, card=card)
  run.execute(experiment(0), DATA, other, tmp_path, 'students', execution())
  run.execute(experiment(0), DATA, None, tmp_path, 'students', execution(), other)
  own = {'mean': DATA.spec.normalisation.mean, 'std': list(DATA.spec.normalisation.std)}
  equal = dataclasses.replace(taught, card={**card, 'dataset': {**card['dataset'], **own}})
  run.execute(experiment(0), DATA, equal, tmp_path, 'students', execution())
  assert [one.dataset.spec.normalisation for one in runs[:2]] == 2 * [other.normalisation]
  [learner] = runs[0].assemble().cohort.learners
  assert learner.method.dataset.normalisation == other.normalisation
  assert runs[2].dataset is DATA  # A description of its own would compile anew.


def test_what_is_reported_is_evaluated_once_and_in_float32(taught, tmp_path, monkeypatch):
  evaluated = []
  logits = inference.logits

  def note(network, split):
    evaluated.append(split.precision.dtype.name)
    return logits(network, split)

  monkeypatch.setattr(inference, 'logits', note)
  half = dataclasses.replace(execution(), eval_precision='bfloat16')
  run.execute(experiment(0), DATA, taught, tmp_path / 'run', 'students', half)
  # The student after the first epoch, the teacher to compare it with, the student after the last.
  assert evaluated == ['bfloat16', 'float32', 'float32']
  evaluated.clear()
  selecting = experiment(0, holdout=0.25)
  run.execute(selecting, DATA, taught, tmp_path / 'selecting', 'students', half)
  assert set(evaluated) == {'float32'}


@pytest.fixture
def teacher_plan():
  """Return an experiment that trains a teacher."""
  member = Member('teacher', 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(), -1)
  recipe = Recipe(total_epochs=1, batch_size=16)
  return Experiment((member,), recipe, seed=0, padding=1, flip=True)


def test_a_kept_teacher_is_identified_by_its_configuration(teacher_plan, tmp_path):
  inputs = {'dataset': DATA.spec.name, 'fingerprint': DATA.spec.fingerprint}
  config = json.loads(json.dumps(dataclasses.asdict(teacher_plan)))
  # An earlier version, which has fewer fields, would have written this.
  for field in ('shots', 'eval_every', 'holdout'):
    del config[field]
  model = models.describe(models.create('tests.plain:Plain', num_classes=3))
  run_folder = tmp_path / 'any name'
  workdir.claim(run_folder, 'config.json', {**config, 'model': model})
  workdir.claim(run_folder, 'inputs.json', inputs)

  def kept(experiment, dataset=DATA):
    return teacher.folder_of(experiment, dataset, tmp_path)

  assert kept(teacher_plan) == run_folder
  # The epochs between evaluations do not identify it, the seed and the data do.
  assert kept(dataclasses.replace(teacher_plan, eval_every=7)) == run_folder
  assert kept(dataclasses.replace(teacher_plan, seed=1)) != run_folder
  other = dataclasses.replace(DATA, spec=dataclasses.replace(DATA.spec, fingerprint='other'))
  assert kept(teacher_plan, other) != run_folder


def test_processes_divide_members_by_the_least_of_their_memory(taught, tmp_path, monkeypatch):
  whole = run._Run(experiment(0, 1), DATA, taught, tmp_path, 'students', execution(), None)
  assert run._divided(whole.experiment.members, whole) == [['kd-0', 'kd-1']]
  monkeypatch.setattr(run.processes, 'minimum', lambda value: min(value, 0))
  with pytest.raises(UserError, match='of kd-0 takes about .* MiB, and 0 MiB are free'):
    run._divided(whole.experiment.members, whole)
