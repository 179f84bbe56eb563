"""A run that gains members: what it has stays, and the new ones are as in a run of all."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest

from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.data import noise
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import continuation, run, workdir
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.report import run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.training import loop, metrics
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

pytestmark = pytest.mark.usefixtures('compiled_once')
DATA = noise.dataset(32, 8, 3)
OPTIMIZER = OptimizerHparams()
KD = [Member('kd', 'tests.plain:Plain', 'kd_1_1', {}, OPTIMIZER, trial) for trial in range(2)]
SP = Member('sp', 'tests.plain:Plain', 'sp', {}, OPTIMIZER, 0)


def execute(taught, folder, *members):
  recipe = Recipe(total_epochs=2, batch_size=16)
  experiment = Experiment(members, recipe, seed=0, padding=1, flip=True)
  execution = Execution(2**40, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))
  run.execute(experiment, DATA, taught, folder, 'students', execution)


@pytest.fixture(scope='module')
def fresh(taught, tmp_path_factory):
  """Return the folder of a run that had all members from the start."""
  folder = tmp_path_factory.mktemp('fresh') / 'run'
  execute(taught, folder, *KD, SP)
  return folder


def results(folder):
  """Return {member: (its variables, its metrics without times)} of all parts."""
  found = {}
  for place in sorted(folder.rglob('variables.npz')):
    name = place.parent.name
    with np.load(place) as file:
      variables = {key: file[key].tobytes() for key in file.files}
    rows = [
      {key: value for key, value in row.items() if 'seconds' not in key}
      for row in metrics.read(place.parents[2])
      if row['member'] == name
    ]
    found[name] = (variables, rows)
  return found


def files(folder):
  return {path: path.read_bytes() for path in folder.rglob('bundles/*/*')}


def test_added_members_are_those_of_a_run_of_all(taught, fresh, tmp_path):
  folder = tmp_path / 'run'
  execute(taught, folder, KD[0])
  # As version 0.1.0 left it, and a run of one member.
  run.keep_parts(folder, ['kd-0'])
  kept = files(folder)
  execute(taught, folder, KD[0], SP)
  execute(taught, folder, KD[0], KD[1], SP)
  assert results(folder) == results(fresh)
  assert kept.items() <= files(folder).items()
  parts = json.loads((folder / 'parts.json').read_text())
  assert parts == {'parts': [['kd-0']], 'added': [['sp-0'], ['kd-1']]}
  assert {path.parent.name for path in folder.glob('*/inputs.json')} == {'part-2', 'part-3'}
  # A report shows all of them as one comparison.
  comparison = Comparison(tuple(run_folder.find([folder])[0]))
  assert {label: list(trials) for label, trials in comparison.labels.items()} == {
    'kd': [0, 1],
    'sp': [0],
  }


def test_an_interrupted_run_is_finished_before_the_added_members(
  taught, fresh, tmp_path, monkeypatch
):
  folder, trained = tmp_path / 'run', []
  train = loop.train

  def stop_once(cohort, *args):
    trained.append(cohort.names)
    if len(trained) == 1:
      raise Stopped('stopped', 143)
    return train(cohort, *args)

  monkeypatch.setattr(loop, 'train', stop_once)
  with pytest.raises(Stopped):
    execute(taught, folder, *KD)
  execute(taught, folder, *KD, SP)
  assert trained == [('kd-0', 'kd-1'), ('kd-0', 'kd-1'), ('sp-0',)]
  assert results(folder) == results(fresh)


@pytest.mark.parametrize(
  'content, flaw', [('[]', 'it holds no JSON object'), ('{}', 'it names no parts')]
)
def test_parts_that_are_damaged_are_one_line(content, flaw, taught, tmp_path):
  (tmp_path / 'parts.json').write_text(content)
  with pytest.raises(UserError, match=f'parts.json. is damaged: {flaw}'):
    execute(taught, tmp_path, *KD)


def config(arg='pidkd,kd_1_1', **fields):
  made = configuration.default(arg)
  made.update(fields)
  return made.to_dict()


def compare(before, now):
  return continuation.compare_configs(pathlib.Path('run'), json.loads(json.dumps(before)), now)


@pytest.mark.parametrize(
  'now',
  [
    config(trials=3),
    config('pidkd,kd_1_1,sp'),
    config('sp,kd_1_1,pidkd'),
    config('kd_1_1,pidkd', trials=2),
  ],
)
def test_more_members_are_no_other_run(now):
  before, after = compare(config(), now)
  assert before == json.loads(json.dumps(after))
  assert 'trials' not in before and 'compare' not in before and 'student' in before


def changed(**hyperparameters):
  made = config(trials=2)
  made['compare']['kd_1_1'] |= hyperparameters
  return made


@pytest.mark.parametrize(
  ('now', 'message'),
  [
    (
      config('pidkd', trials=2),
      'holds a run with kd_1_1; name it beside the others, or give another',
    ),
    (config(trials=1), 'with trials of pidkd = 2 and not 1; give another `workdir`'),
    (changed(weight=3.0), 'with weight of kd_1_1 = 1.0 and not 3.0; give another `workdir`'),
  ],
)
def test_fewer_members_or_other_settings_are_refused(now, message):
  with pytest.raises(UserError, match=message) as error:
    compare(config(trials=2), now)
  assert '\n' not in str(error.value)


def test_rows_of_a_study_may_be_added_and_get_more_trials():
  def cohort(**rows):
    made = configuration.cohort()
    for label, fields in rows.items():
      made.rows[label] = configuration.row('scratch', **fields)
    return made.to_dict()

  before = cohort(a={}, b={'trials': 2})
  compare(before, cohort(c={}, b={'trials': 3}, a={}))
  with pytest.raises(UserError, match='with trials of b = 2 and not 1'):
    compare(before, cohort(a={}, b={'trials': 1}))
  with pytest.raises(UserError, match='with learning_rate of a = 0.0 and not 0.1'):
    compare(before, cohort(a={'learning_rate': 0.1}, b={'trials': 2}))


def test_networks_of_added_rows_are_no_other_run():
  old, new = {'family': 'own:Old', 'width': 4}, {'family': 'own:New'}
  before = config() | {'networks': {'own:Old': old}}
  same = compare(before, config() | {'networks': {'own:Old': old, 'own:New': new}})
  assert same[0]['networks'] == same[1]['networks'] == {'own:Old': old}
  other = compare(before, config() | {'networks': {'own:Old': old | {'width': 8}}})
  assert other[0]['networks'] != other[1]['networks']
  assert 'networks' not in compare(config(), config() | {'networks': {'own:New': new}})[1]


def test_a_field_that_is_newer_than_the_run_has_its_default():
  before = config()
  del before['method']['warmup'], before['compare']['kd_1_1']['standardize']
  compare(before, config())


def test_a_damaged_configuration_is_one_line(tmp_path):
  (tmp_path / 'config.json').write_text('{"trials": 1}')
  with pytest.raises(UserError, match='config.json.* is damaged: it is no configuration'):
    workdir.check(tmp_path, 'config.json', config(), check_part=continuation.compare_configs)


def test_an_experiment_may_gain_members_too():
  plan = Experiment((KD[0],), Recipe(), seed=0, padding=1, flip=True)
  more = dataclasses.replace(plan, members=(KD[0], KD[1], SP))
  folder = pathlib.Path('run')
  one, all_of_them = dataclasses.asdict(plan), dataclasses.asdict(more)
  before, after = continuation.compare_experiments(folder, one, all_of_them)
  assert before == after and 'members' not in before
  with pytest.raises(UserError, match='holds a run with trials of kd = 2 and not 1'):
    continuation.compare_experiments(folder, all_of_them, one)


def test_an_experiment_may_describe_its_networks(tmp_path):
  plan = dataclasses.asdict(Experiment((KD[0], SP), Recipe(), seed=0, padding=1, flip=True))
  networks = {'own:Net': {'family': 'own:Net', 'width': 4}}
  described = plan | {'networks': networks}
  (tmp_path / 'config.json').write_text(json.dumps(described))
  assert continuation.members_of_experiment(tmp_path) == ['kd-0', 'sp-0']
  more = plan | {'networks': networks | {'own:Added': {'family': 'own:Added'}}}
  before, after = continuation.compare_experiments(tmp_path, described, more)
  assert before['networks'] == after['networks'] == networks
  # A folder of an older version describes none.
  assert 'networks' not in continuation.compare_experiments(tmp_path, plan, more)[1]
