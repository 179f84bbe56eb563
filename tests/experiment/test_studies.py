"""Studies from end to end, on the digits, with small networks and short trainings."""

import importlib.util
import json
import pathlib
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import job, pairs, study
from pidkd_jax.experiment.check import check
from pidkd_jax.training import partition
from pidkd_jax.training.outcome import Diverged
from pidkd_jax.training.progress import Progress

pytestmark = pytest.mark.usefixtures('compiled_once', 'read_once', 'undrawn')
NETWORK = 'tests.experiment.widenable:Widenable'
STUDIES = sorted((pathlib.Path(__file__).resolve().parents[2] / 'configs' / 'studies').glob('*.py'))


def load(path, arg=''):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(arg)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('study')


@pytest.fixture
def config(home):
  """One epoch of five steps in each of two cohorts, which share data and teacher."""
  c = configuration.study('', pairs.CIFAR100)
  c.student = c.teacher.model = NETWORK
  c.batch_size = 256
  c.total_epochs = 1
  c.learning_rate = 0.01
  c.teacher.total_epochs = 1
  c.teacher.batch_size = 256
  c.data.name = 'digits'
  c.data.dir = str(home / 'tfds')
  c.cohorts = {
    'first': {
      'rows': {
        'pidkd': configuration.row('pidkd', num_projectors=2, factor=2, trials=2),
        'scratch': configuration.row('scratch'),
        'widened': configuration.row('scratch', widen='pidkd'),
      }
    },
    'second': {'total_epochs': 2, 'rows': {'scratch': configuration.row('scratch')}},
  }
  return c


@pytest.fixture(scope='module')
def whole(home):
  """The folder of a study that was never split, trained once; others share its teacher."""
  folder = home / 'all'

  def run(config):
    if not folder.exists():
      study.main(config, str(folder))
    config.teacher.dir = str(folder / 'teachers')
    return folder

  return run


def load_bundle(folder):
  return bundle.load(folder, models.families(NETWORK))


def variables(folder):
  with np.load(folder / 'variables.npz') as file:
    return {name: file[name] for name in file.files}


def test_a_study_trains_its_cohorts_in_folders_of_their_own(config, whole):
  folder = whole(config)
  names = {path.name for path in (folder / 'first' / 'bundles').iterdir()}
  assert names == {'pidkd-0', 'pidkd-1', 'scratch-0', 'widened-0'}
  assert [path.name for path in (folder / 'second' / 'bundles').iterdir()] == ['scratch-0']
  card = load_bundle(folder / 'second' / 'bundles' / 'scratch-0').card
  assert card['training']['recipe']['total_epochs'] == 2
  # One teacher, trained once.
  assert len(list((folder / 'teachers').iterdir())) == 1


def test_what_a_report_needs_lies_in_the_folder(config, whole):
  folder = whole(config) / 'first'
  card = load_bundle(folder / 'bundles' / 'pidkd-1').card
  assert card['cost']['training_bytes'] > 4 * 2 * card['cost']['parameters']
  with np.load(folder / 'outputs' / 'pidkd-1.npz') as file:
    outputs = dict(file)
  assert np.mean(outputs['predicted'] == outputs['label']) == card['results']['top1']
  assert outputs['confidence'].shape == (500,) and np.all(outputs['confidence'] >= 0.1)
  assert outputs['pooled'].shape == (500, 20)
  teacher = json.loads((folder / 'teacher.json').read_text())
  assert teacher['results']['agreement'] == 1 and teacher['cost']['parameters'] > 0
  assert (folder / 'outputs' / 'teacher.npz').exists()


def test_a_widened_student_deploys_as_much(config, whole):
  cards = {
    name: load_bundle(whole(config) / 'first' / 'bundles' / f'{name}-0').card
    for name in ('pidkd', 'scratch', 'widened')
  }
  size = {name: card['cost']['parameters'] for name, card in cards.items()}
  assert abs(size['widened'] / size['pidkd'] - 1) < 0.02 < size['pidkd'] / size['scratch'] - 1
  assert cards['widened']['network'].startswith(f'{NETWORK}*1.')


def test_a_finished_study_is_not_trained_again(config, whole, monkeypatch):
  folder = whole(config)
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained'))
  assert set(study.main(config, str(folder))) == {'first', 'second'}


def test_a_cohort_in_parts_comes_to_the_same(config, whole, home, monkeypatch):
  whole(config)
  del config.cohorts['second']
  monkeypatch.setattr(partition, 'into_cohorts', lambda members, *_: [members[:3], members[3:]])
  study.main(config, str(home / 'split'))
  folder = home / 'split' / 'first'
  parts = json.loads((folder / 'parts.json').read_text())['parts']
  assert [len(names) for names in parts] == [3, 1]
  for number, names in enumerate(parts, start=1):
    for name in names:
      ours = variables(folder / f'part-{number}' / 'bundles' / name)
      theirs = variables(whole(config) / 'first' / 'bundles' / name)
      assert ours.keys() == theirs.keys()
      for path, value in ours.items():
        np.testing.assert_array_equal(value, theirs[path], err_msg=path)


def test_a_trial_of_a_row_alone_comes_to_the_same(config, whole, home):
  config.first_trial = config.cohorts.first.rows.pidkd.trials = 1
  study.main(config, str(home / 'alone'), ['pidkd'])
  bundles = home / 'alone' / 'first' / 'bundles'
  assert {path.name for path in bundles.iterdir()} == {'pidkd-1'}
  assert not (home / 'alone' / 'second').exists()
  ours, theirs = (
    variables(folder / 'pidkd-1') for folder in (bundles, whole(config) / 'first' / 'bundles')
  )
  for path, value in theirs.items():
    np.testing.assert_array_equal(ours[path], value, err_msg=path)
  config.cohorts.first.rows.pidkd.trials = 2
  study.main(config, str(home / 'alone'), ['pidkd'])
  assert (home / 'alone' / 'first' / 'part-2' / 'bundles' / 'pidkd-2').exists()


def test_a_study_gains_trials_and_rows(config, whole, home):
  before = variables(whole(config) / 'second' / 'bundles' / 'scratch-0')
  folder = shutil.copytree(whole(config), home / 'gained')
  config.cohorts.second.rows.scratch.trials = 2
  config.cohorts.second.rows.more = configuration.row('scratch', learning_rate=0.02)
  del config.cohorts['first']
  reports = study.main(config, str(folder))
  assert 'scratch' in reports['second'] and 'more' in reports['second']
  added = folder / 'second' / 'part-2' / 'bundles'
  assert {path.name for path in added.iterdir()} == {'scratch-1', 'more-0'}
  kept = variables(folder / 'second' / 'bundles' / 'scratch-0')
  assert all(np.array_equal(value, kept[path]) for path, value in before.items())
  config.cohorts.second.rows.scratch.trials = 1
  with pytest.raises(UserError, match='trials of scratch = 2 and not 1; give another `workdir`'):
    study.main(config, str(folder))


def test_a_misspelt_row_names_the_nearest(config, home):
  with pytest.raises(UserError, match="unknown row 'pidk'; did you mean 'pidkd'"):
    study.main(config, str(home / 'misspelt'), ['pidk'])
  assert not (home / 'misspelt').exists()


@pytest.mark.parametrize(
  'group, labels, message',
  [
    ({'total_epoch': 2}, (), "unknown field of the cohort x 'total_epoch'; did you mean 'total_"),
    ({'data': {'shot': 5}}, (), "'data.shot'; did you mean 'data.shots'"),
    ({'total_epochs': 'many'}, (), "the cohort x: Could not override field 'total_epochs'"),
    ({'rows': {}}, (), 'the cohort x has no rows'),
    ({'rows': ['pidkd']}, (), r"rows of the cohort x is \['pidkd'\]; make them as configs/"),
    ({'rows': {'mine': 'pidkd'}}, (), "row mine is 'pidkd'; make it by config.row"),
    ({'rows': {'mine': {'factor': 2}}}, (), "row mine is {'factor': 2}; make it by config.row"),
    ({'rows': {'bundle': configuration.row('scratch')}}, (), "label 'bundle' is what reports call"),
    ({}, ['widened'], 'widened is to be as large as pidkd, which --rows leaves out; name both'),
  ],
)
def test_a_mistake_in_a_cohort_is_one_line(config, group, labels, message):
  config.cohorts = {'x': {'rows': config.cohorts.first.rows.to_dict()} | group}
  with pytest.raises(UserError, match=message) as error:
    for cohort in configuration.cohorts(config, labels).values():
      check(cohort)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'field, value, message',
  [
    ('rows', {}, 'rows is {}; make them as configs/studies/capacity.py does'),
    ('rows', {'mine': 'pidkd'}, "the row mine is 'pidkd'; make it by config.row"),
    ('method', None, 'method is None; make it as configs/digits.py does'),
    ('method', {}, 'method is {}; make it as'),
    ('compare', {'simkd': None}, 'compare.simkd is None; make it as'),
    ('student', None, 'student is None; '),
    ('teacher', {'model': None}, 'teacher.model is None; '),
  ],
)
def test_a_mistake_in_a_config_written_by_hand_is_one_line(field, value, message):
  plain = configuration.default('', pairs.DIGITS, 'pidkd,scratch')
  written = {**plain.to_dict(), field: value}
  if field == 'teacher':
    written[field] = {**plain.teacher.to_dict(), **value}
  with pytest.raises(UserError, match=message):
    check(ConfigDict(written))


def test_a_row_written_by_hand_takes_the_defaults():
  cohort = ConfigDict({'rows': {'mine': {'method': 'pidkd', 'factor': 4}}})
  [row] = configuration.rows(cohort).values()
  assert row == {**configuration.row('scratch').to_dict(), 'method': 'pidkd', 'factor': 4}


def test_a_member_that_diverges_is_left_out_and_the_others_go_on(config, whole, home, caplog):
  del config.cohorts['second']
  config.checkpoint_seconds = 0.0
  with config.unlocked():
    del config.cohorts.first.rows['widened']
    config.cohorts.first.rows.bad = configuration.row('simkd', weight=1e38)
  study.main(config, str(home / 'diverged'))
  folder = home / 'diverged' / 'first'
  [left_out] = json.loads((folder / 'diverged.json').read_text())
  assert left_out == 'bad-0' and 'bad-0: its loss is not finite at step' in caplog.text
  assert not (folder / 'bundles' / 'bad-0').exists()
  for name in ('pidkd-1', 'scratch-0'):
    ours, theirs = (
      variables(home_ / 'bundles' / name) for home_ in (folder, whole(config) / 'first')
    )
    for path, value in ours.items():
      np.testing.assert_array_equal(value, theirs[path], err_msg=path)
  assert 'bad' not in (folder / 'metrics.jsonl').read_text()


def test_a_cohort_that_diverges_does_not_stop_the_next(config, home, monkeypatch):
  ran = []

  def train(cohort, folder):
    ran.append(folder.rpartition('/')[2])
    if ran == ['first']:
      raise Diverged({'bad-0': 3})

  monkeypatch.setattr(study.job, 'dry_run', lambda *_: None)
  monkeypatch.setattr(study.job, 'main', train)
  with pytest.raises(UserError, match='cohort first: no member is finite .*bad-0 at step 3'):
    study.main(config, str(home / 'one bad'))
  assert ran == ['first', 'second']


def test_a_member_larger_than_memory_is_refused(config, whole, home):
  whole(config)
  config.memory_gib = 0.001
  with pytest.raises(UserError, match='takes about .* MiB .* smaller batch_size'):
    study.main(config, str(home / 'none'))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'widen': 'pidk'}, "'pidk'; did you mean 'pidkd'"),
    ({'trials': -1}, 'trials of widened is -1'),
    ({'learning_rate': -0.1}, 'learning_rate of widened is -0.1'),
    ({'student': 'vgg8', 'widen': 'pidkd'}, 'VGG cannot be widened'),
    ({'student': 'resnet9'}, "unknown model 'resnet9'"),
    ({'learning_rate': None}, 'learning_rate of widened is None; a number is needed'),
    ({'widen': 'widened'}, 'to be as large as widened, which is widened itself; name another row'),
  ],
)
def test_a_mistake_in_a_row_is_one_line(config, whole, home, change, message):
  whole(config)
  config.cohorts.first.rows.widened.update(change)
  with pytest.raises(UserError, match=message):
    study.main(config, str(home / 'mistake'))
  assert not (home / 'mistake' / 'first').exists()


def test_a_probe_that_cannot_be_is_found_before_the_training(config, whole, home):
  whole(config)
  cohort = config.cohorts.second
  for probe, message in (
    ({'name': 'digitz', 'archive': '', 'verify': True, 'image_size': 0}, "unknown .*'digitz'"),
    ({'name': 'digits', 'archive': ''}, 'the probe has no verify, image_size'),
  ):
    cohort.probe = probe
    with pytest.raises(UserError, match=message):
      study.main(config, str(home / 'unprobed'))
    assert not (home / 'unprobed' / 'second').exists()


def test_a_mistake_in_a_later_cohort_is_found_before_the_first_trains(
  config, whole, home, monkeypatch
):
  whole(config)
  # 1,297 images allow no such batch, which only the data tell.
  config.cohorts.second.batch_size = 1298
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained'))
  with pytest.raises(UserError, match='batch_size is 1298; the training split of 1297 images'):
    study.main(config, str(home / 'later'))
  assert not (home / 'later').exists()


def test_features_are_probed_on_another_dataset(config, whole, home, monkeypatch):
  whole(config)
  del config.cohorts['first']
  with config.unlocked():
    # The same digits will do, so that a good probe is known.
    config.cohorts.second.probe = {
      'name': 'digits',
      'archive': '',
      'verify': True,
      'image_size': 0,
    }
  study.main(config, str(home / 'probed'))
  path = home / 'probed' / 'second' / 'probe.json'
  found = json.loads(path.read_text())['digits']
  assert found.keys() == {'teacher', 'scratch-0'} and all(0.3 < v <= 1 for v in found.values())
  monkeypatch.setattr(job, 'probe', lambda *_: pytest.fail('it probed again'))
  study.main(config, str(home / 'probed'))


@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_a_published_study_can_be_started(path):
  c = load(path)
  assert c.student and c.teacher.model and c.cohorts
  for cohort in configuration.cohorts(c).values():
    check(cohort)
    assert configuration.rows(cohort)
    assert 'cohorts' not in cohort


@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_a_study_takes_another_pair(path):
  c = load(path, 'wrn_40_2-wrn_16_2')
  [cohort, *_] = configuration.cohorts(c).values()
  assert (cohort.student, cohort.teacher.model) == ('wrn_16_2', 'wrn_40_2')
