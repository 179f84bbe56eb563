"""The main job from end to end, on the digits, with small networks and short trainings."""

import dataclasses
import json
import os
import re
import shutil
import signal
import types
from contextlib import nullcontext

import numpy as np
import pytest

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.core import local_path
from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline.streamed_batches import StreamedBatches
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import job, workdir
from pidkd_jax.training import metrics
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.validation import Validation

pytestmark = pytest.mark.usefixtures('compiled_once', 'read_once', 'undrawn')
NETWORK = 'tests.plain:Plain'


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('job')


@pytest.fixture
def config(home):
  """Two epochs of ten steps; every test of this file shares the data and the teacher."""
  c = configuration.default('pidkd')
  c.student = c.teacher.model = NETWORK
  c.method.num_projectors = c.method.factor = 2
  c.total_epochs = 2
  c.batch_size = 128
  c.checkpoint_seconds = 1e6
  c.teacher.total_epochs = 1
  c.teacher.batch_size = 128
  c.teacher.dir = str(home / 'teachers')
  c.data.name = 'digits'
  c.data.dir = str(home / 'tfds')
  return c


@pytest.fixture(scope='module')
def whole(home):
  """The folder of a run that was never stopped, by name; each is trained once.

  It saves a checkpoint after every step. The other runs save only at their ends.
  """
  done = {}

  def run(config, name='whole'):
    if name not in done:
      done[name] = home / name
      often = config.copy_and_resolve_references()
      often.checkpoint_seconds = 0.0
      job.main(often, str(done[name]))
    return done[name]

  return run


def load(folder):
  return bundle.load(folder, models.families(NETWORK))


def variables(folder, member='pidkd-0'):
  with np.load(folder / 'bundles' / member / 'variables.npz') as file:
    return {name: file[name] for name in file.files}


def figures(folder):
  """The journal's rows without what is timed."""
  return [
    {name: value for name, value in row.items() if 'seconds' not in name}
    for row in metrics.read(folder)
  ]


def assert_same_result(folder, other):
  ours, theirs = variables(folder), variables(other)
  assert ours.keys() == theirs.keys()
  for name, value in ours.items():
    np.testing.assert_array_equal(value, theirs[name], err_msg=name)
  assert figures(folder) == figures(other)


def test_a_run_leaves_what_the_user_needs(config, whole):
  folder = whole(config)
  report = (folder / 'report.md').read_text()
  assert f'teacher {NETWORK}' in report and f'pidkd {NETWORK}' in report
  assert 'best on test (optimistic' in report
  assert (folder / 'curves.png').read_bytes().startswith(b'\x89PNG')
  for run in ('.', 'pidkd-0', 'teacher'):
    assert list((folder / 'tensorboard' / run).glob('events*'))
  assert json.loads((folder / 'config.json').read_text())['total_epochs'] == 2
  assert 'jax' in json.loads((folder / 'versions.json').read_text())
  rows = metrics.read(folder)
  assert [row['epoch'] for row in rows] == [1, 2]
  assert all(0 <= row['test_top1'] <= 1 for row in rows)
  # An epoch's loss is that epoch's alone: a sum that went on would not fall.
  assert rows[0]['train_loss'] > rows[1]['train_loss'] > 0
  assert all(row['learning_rate'] > 0 and row['update_norm'] > 0 for row in rows)
  assert (folder / 'metrics.csv').read_text().count('\n') == 3


def test_the_bundle_gives_the_same_numbers_again(config, whole):
  loaded = load(whole(config) / 'bundles' / 'pidkd-0')
  card = loaded.card
  teacher = load(next((whole(config).parent / 'teachers').iterdir()) / 'bundles' / 'teacher')
  dataset = data.load('digits', directory=config.data.dir)
  [again] = evaluate_metrics(
    {'': loaded.network}, dataset.test, loaded.normalisation, teacher.network
  ).values()
  assert again == {name: card['results'][name] for name in again}
  assert again.keys() >= {'top1', 'top5', 'agreement', 'alignment_error', 'calibration_error'}
  # The result is the last epoch's, whichever was best on the test images.
  assert card['training']['epoch'] == 2
  assert card['results']['top1'] == metrics.read(whole(config))[-1]['test_top1']


def after_steps(monkeypatch, number, act):
  """Call `act` when so many steps are done; return the list that grows with each step."""
  steps = []

  def counted(show):
    def call(self, images):
      steps.append(images)
      if len(steps) == number:
        act()
      show(self, images)

    return call

  for name in ('skip', 'advance'):  # Of the first step, which compiles, and of the others.
    monkeypatch.setattr(Progress, name, counted(getattr(Progress, name)))
  return steps


@pytest.mark.parametrize('stop, streaming', [(signal.SIGTERM, 'always'), (signal.SIGINT, 'never')])
def test_a_stopped_run_goes_on_to_the_same_result(
  config, whole, home, monkeypatch, stop, streaming
):
  folder = home / f'stopped-{stop.name}'
  whole(config)  # Its teacher is trained by now, so that the signal falls on the student.
  config.data.streaming = streaming
  # In the middle of the second epoch.
  steps = after_steps(monkeypatch, 13, lambda: os.kill(os.getpid(), stop))
  with pytest.raises(Stopped, match='step 13 of 20') as stopped:
    job.main(config, str(folder))
  assert stopped.value.status == 128 + stop
  assert not (folder / 'bundles').exists()
  job.main(config, str(folder))
  assert len(steps) == 20  # Nothing was trained twice.
  assert_same_result(folder, whole(config))


def test_data_that_are_damaged_meanwhile_end_in_one_line_and_lose_nothing(
  config, whole, home, monkeypatch
):
  folder = home / 'spoilt'
  expected = whole(config)
  [path] = (home / 'tfds' / 'digits').rglob('*train.array_record*')
  good = path.read_bytes()
  config.data.streaming = 'always'

  def spoil():
    with path.open('r+b') as file:
      file.write(bytes(len(good)))

  steps, asked, batch = after_steps(monkeypatch, 13, spoil), [], StreamedBatches.batch

  def remember(self, order, step):
    asked.append(type(step))
    return batch(self, order, step)

  monkeypatch.setattr(StreamedBatches, 'batch', remember)
  try:
    with pytest.raises(UserError) as told:
      job.main(config, str(folder))
  finally:
    path.write_bytes(good)
  # A number of the device would be waited for. The first batch is asked for to learn its shapes.
  assert asked[0] is not np.int32 and set(asked[1:]) == {np.int32}
  assert str(told.value).startswith(f'{path} is damaged (') and '\n' not in str(told.value)
  # What was read before the damage is trained on, and no more.
  assert [int(step.name) for step in (folder / 'checkpoints').iterdir()] == [len(steps)]
  assert 13 <= len(steps) < 20
  job.main(config, str(folder))
  assert len(steps) == 20
  assert_same_result(folder, expected)


def test_a_log_that_nobody_reads_any_more_costs_no_step(config, whole, home, monkeypatch):
  """As after Ctrl-C on `pidkd train 2>&1 | tee log`, which ends `tee` first."""
  folder = home / 'unread'
  expected = whole(config)
  steps = after_steps(monkeypatch, 100, None)

  def unread(self, *_):
    raise BrokenPipeError

  with monkeypatch.context() as patch:
    patch.setattr(Progress, 'epoch', unread)
    with pytest.raises(BrokenPipeError):
      job.main(config, str(folder))
  assert [int(step.name) for step in (folder / 'checkpoints').iterdir()] == [len(steps)] == [10]
  job.main(config, str(folder))
  assert len(steps) == 20
  assert_same_result(folder, expected)


def test_a_run_whose_folder_is_renamed_ends_and_writes_nothing_in_its_place(
  config, whole, home, monkeypatch
):
  folder = home / 'renamed'
  whole(config)
  after_steps(monkeypatch, 13, lambda: folder.rename(home / 'elsewhere'))
  with pytest.raises(UserError, match='renamed.* was removed, renamed or replaced'):
    job.main(config, str(folder))
  assert not (folder / 'metrics.jsonl').exists() and not list(folder.glob('checkpoints/*'))
  assert (home / 'elsewhere/metrics.jsonl').exists()


def test_a_signal_while_the_end_is_saved_is_not_lost(config, whole, home, monkeypatch):
  folder = home / 'late'
  whole(config)
  wait = Checkpoints.wait

  def wait_and_stop(self):
    patch.undo()  # Once: a second signal would end the process as ever.
    os.kill(os.getpid(), signal.SIGTERM)
    wait(self)

  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, 'wait', wait_and_stop)
    with pytest.raises(Stopped, match='step 20 of 20'):
      job.main(config, str(folder))
  job.main(config, str(folder))
  assert_same_result(folder, whole(config))


def test_a_finished_run_is_reported_again_and_not_trained_again(config, whole, monkeypatch):
  folder = whole(config)
  before = (folder / 'report.md').read_text()
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained'))
  summary = job.main(config, str(folder))
  assert (folder / 'report.md').read_text() == before
  assert 'pidkd' in summary
  assert (folder / 'log.txt').exists()


@pytest.mark.parametrize('begun', [False, True])
def test_a_run_that_is_taken_up_does_not_say_again_what_its_log_has(
  begun, config, tmp_path, monkeypatch
):
  hushed = []
  monkeypatch.setattr(job.log, 'hushed', lambda hush: hushed.append(hush) or nullcontext())
  monkeypatch.setattr(job, '_put_together', lambda *_: 'the job')
  if begun:
    (tmp_path / 'config.json').write_text('{}')
  assert job._prepare(config, None, tmp_path) == 'the job' and hushed == [begun]


@pytest.fixture
def untrainable(monkeypatch):
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained'))


def test_a_finished_run_is_reported_without_its_teacher(config, whole, home, untrainable):
  folder = shutil.copytree(whole(config), home / 'orphan')
  (folder / 'report.md').unlink()
  config.teacher.dir = str(home / 'moved away')
  assert 'pidkd' in job.main(config, str(folder))
  assert (folder / 'report.md').exists() and not (home / 'moved away').exists()


def test_a_run_whose_teacher_is_gone_is_refused_before_one_is_trained(
  config, whole, home, untrainable
):
  folder = shutil.copytree(whole(config), home / 'unfinished orphan')
  shutil.rmtree(folder / 'bundles')
  config.teacher.dir = str(home / 'moved away')
  with pytest.raises(UserError, match='began with a teacher that is not in .*move it back, say'):
    job.main(config, str(folder))
  assert not (home / 'moved away').exists()


@pytest.mark.parametrize('finished', [True, False])
def test_changed_data_are_refused_before_a_teacher_is_trained(
  finished, config, whole, home, untrainable, monkeypatch
):
  folder = shutil.copytree(whole(config), home / f'other images {finished}')
  if not finished:
    shutil.rmtree(folder / 'bundles')
  load = data.load

  def changed(*args, **kwargs):
    dataset = load(*args, **kwargs)
    return dataclasses.replace(dataset, spec=dataclasses.replace(dataset.spec, fingerprint='other'))

  monkeypatch.setattr(data, 'load', changed)
  with pytest.raises(UserError, match="fingerprint = '[0-9a-f]+' and not 'other'"):
    job.main(config, str(folder))


def test_a_kept_teacher_that_was_swapped_is_refused(config, whole, home, untrainable):
  whole(config)
  teachers = shutil.copytree(home / 'teachers', home / 'swapped')
  for place in teachers.glob('*/bundles/teacher'):
    loaded = load(place)
    training = loaded.card['training'] | {'seed': 77}
    bundle.save(place, loaded.network, dict(loaded.card) | {'training': training})
  config.teacher.dir = str(teachers)
  with pytest.raises(UserError, match='does not come from the training'):
    job.main(config, str(home / 'taught by a changeling'))


def test_a_folder_without_a_name_is_the_folder_itself(tmp_path, monkeypatch):
  (tmp_path / 'inner').mkdir()
  monkeypatch.chdir(tmp_path / 'inner')
  assert local_path.resolve('workdir', '.') == tmp_path / 'inner'
  assert local_path.resolve('workdir', '..') == tmp_path


def test_two_runs_in_one_folder_are_refused(config, whole):
  folder = whole(config)
  before = (folder / 'config.json').read_bytes()
  config.trials = 2
  with workdir.locked(folder), pytest.raises(UserError, match='another run is at work'):
    # flock is per open file, so that it also holds within one process.
    job.main(config, str(folder))
  assert (folder / 'config.json').read_bytes() == before


def test_the_network_of_a_row_identifies_the_run_too():
  c = configuration.cohort()
  c.student = c.teacher.model = 'resnet8'
  c.rows.half = configuration.row('scratch', student='tests.experiment.widenable:Widenable*0.5')
  name = 'tests.experiment.widenable:Widenable'
  spec = noise.dataset(32, 8, 3).spec
  assert job._identity(c, spec)['networks'][name]['widths'] == (12, 16, 20)
  assert models.families(*job._networks(c)) == models.families(name)


def test_only_members_of_the_run_itself_are_probed(tmp_path):
  members = ('bundles/kd-0', 'bundles/kd-1', 'part-2/bundles/pidkd-0')
  for name in (*members, 'bundles/.kd-2.partial', 'longer/bundles/kd-1', 'longer/bundles/kd-3'):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / 'card.json').write_text('{}')
  kd_0, kd_1, pidkd_0 = (tmp_path / name for name in members)
  unprobed = {'teacher': None, 'kd-0': kd_0, 'kd-1': kd_1, 'pidkd-0': pidkd_0}
  assert job._unprobed(tmp_path) == unprobed
  (tmp_path / 'probe.json').write_text('{"digits": {"teacher": 0.9, "kd-0": 0.8}}')
  assert job._unprobed(tmp_path) == {'kd-1': kd_1, 'pidkd-0': pidkd_0}


def test_a_stop_loses_one_probe_at_most(tmp_path, monkeypatch):
  done = iter([0.5, KeyboardInterrupt()])

  def probe(*_):
    found = next(done)
    if isinstance(found, BaseException):
      raise found
    return found

  other = noise.dataset(32, 8, 3)
  one = types.SimpleNamespace(
    card={'dataset': {'image_shape': [8, 8, 3]}},
    network=types.SimpleNamespace(model=None),
    normalisation=None,
  )
  (tmp_path / 'bundles/kd-0').mkdir(parents=True)
  monkeypatch.setattr(job, 'probe', probe)
  monkeypatch.setattr(job, '_load', lambda *_: other)
  monkeypatch.setattr(job, '_networks', lambda _: [])
  monkeypatch.setattr(job.models, 'families', lambda *_: ())
  monkeypatch.setattr(job.bundle, 'load', lambda *_: one)
  with pytest.raises(KeyboardInterrupt):
    job._probe(configuration.cohort(), one, tmp_path)
  assert job._probed(tmp_path) == {'teacher': 0.5}


def test_damaged_figures_are_found_and_left_alone(config, whole, home):
  folder = home / 'damaged'
  shutil.copytree(whole(config), folder)
  shutil.rmtree(folder / 'bundles')
  figures = folder / 'metrics.jsonl'
  for text, message in (('GARBAGE\n{"step": 10}\n', 'line 1'), ('', 'has lost its metrics')):
    figures.write_text(text)
    with pytest.raises(UserError, match=message):
      job.main(config, str(folder))
    assert figures.read_text() == text


def test_the_holdout_selects_and_the_test_images_do_not(config, home, monkeypatch):
  """The teacher has one epoch. Of the three after it, the second is the first of the best."""
  metrics_of, accuracies = Validation.metrics, iter([0.3, 0.5, 0.9, 0.9])

  def scripted(self, logits):
    found = metrics_of(self, logits)
    return found | {'top1': next(accuracies)} if self.selects else found

  monkeypatch.setattr(Validation, 'metrics', scripted)
  config.data.holdout = 0.2
  config.data.streaming = 'always'
  config.total_epochs = 3
  config.learning_rate = 0.2
  folder = home / 'holdout'
  job.main(config, str(folder))
  saved = load(folder / 'bundles' / 'pidkd-0')
  card = saved.card
  rows = metrics.read(folder)
  assert [row['holdout_top1'] for row in rows] == [0.5, 0.9, 0.9]
  assert card['training']['epoch'] == 2
  # The bundle holds that epoch's weights, and not the last one's under its number.
  _, held_out = data.load('digits', directory=config.data.dir).hold_out(0.2, seed=0)
  [again] = evaluate_metrics({'': saved.network}, held_out, saved.normalisation, None).values()
  error = 'holdout_cross_entropy'
  assert again['cross_entropy'] == rows[1][error] != rows[2][error]
  assert card['training']['selection'] == 'best epoch on the hold-out'
  assert not any(name.startswith('test') for row in rows for name in row)
  assert 'best_on_test' not in card['results']


def test_what_moves_results_by_rounding_may_change_when_a_run_is_taken_up(config, whole, home):
  folder = home / 'rounding'
  shutil.copytree(whole(config), folder)
  config.steps_per_call = 5
  job.main(config, str(folder))
  assert json.loads((folder / 'config.json').read_text())['steps_per_call'] == 5


def test_a_kept_teacher_is_reused_by_its_own_recipe_only(config, whole, home, monkeypatch):
  class Taught(Exception):
    """The teacher is there, and the students would begin."""

  execute = job.run.execute

  def teach(experiment, dataset, teacher, folder, title, *args):
    if title == 'students':
      raise Taught
    execute(experiment, dataset, teacher, folder, title, *args)

  whole(config)
  monkeypatch.setattr(job.run, 'execute', teach)
  teachers = home / 'teachers'
  before = set(teachers.iterdir())
  config.learning_rate = 0.01  # The student's.
  config.total_epochs = 1
  with pytest.raises(Taught):
    job.main(config, str(home / 'reuse'))
  assert set(teachers.iterdir()) == before
  config.teacher.learning_rate = 0.02
  with pytest.raises(Taught):
    job.main(config, str(home / 'another'))
  [added] = set(teachers.iterdir()) - before
  assert (added / 'bundles' / 'teacher' / 'card.json').exists()


def test_a_distilled_student_teaches_the_next(config, whole, home):
  config.teacher.bundle = str(whole(config) / 'bundles' / 'pidkd-0')
  config.total_epochs = 1
  job.main(config, str(home / 'chain'))
  card = load(home / 'chain' / 'bundles' / 'pidkd-0').card
  assert card['model']['teacher']['family'] == 'Distilled'
  assert np.isfinite(card['results']['alignment_error'])
  # The teacher is known by its digest: it may move, and no other may take its place.
  before = variables(home / 'chain')
  moved = shutil.copytree(config.teacher.bundle, home / 'moved')
  config.teacher.bundle = f'{moved}/'
  job.main(config, str(home / 'chain'))
  np.testing.assert_equal(variables(home / 'chain'), before)
  loaded = load(moved)
  card = {name: value for name, value in loaded.card.items() if name != 'model'}
  other = card | {'dataset': card['dataset'] | {'mean': [0.25]}}
  bundle.save(home / 'other', loaded.network, other)
  config.teacher.bundle = str(home / 'other')
  with pytest.raises(UserError, match='holds a run with teacher = '):
    job.main(config, str(home / 'chain'))
  assert 'moved' in (home / 'chain' / 'config.json').read_text()


def test_trials_and_methods_make_one_cohort(config, whole, home):
  c = configuration.default('pidkd,scratch')
  c.update({name: config[name] for name in config if name != 'compare'})
  c.trials = 2
  c.total_epochs = 1
  report = job.main(c, str(home / 'cohort'))
  assert {row['member'] for row in metrics.read(home / 'cohort')} == {
    f'{label}-{trial}' for label in ('pidkd', 'scratch') for trial in (0, 1)
  }
  # A row each, the students by accuracy, and none of the table of settings.
  teacher, *students = re.findall(r'(?m)^(\w+)\b.* 0\.\d', report)
  assert teacher == 'teacher' and sorted(students) == ['pidkd', 'scratch']
  assert '±' in report


def test_a_finished_run_gains_a_method_of_ones_own(config, whole, home, monkeypatch):
  folder = shutil.copytree(whole(config), home / 'gained')
  before = {path: path.read_bytes() for path in folder.rglob('bundles/*/*')}
  more = configuration.default('pidkd,tests.methods.own:Cosine')
  more.update({name: config[name] for name in config if name != 'compare'})
  report = job.main(more, str(folder))
  assert 'pidkd' in report and 'Cosine' in report
  assert (folder / 'part-2' / 'bundles' / 'Cosine-0' / 'card.json').exists()
  assert before.items() <= {path: path.read_bytes() for path in folder.rglob('bundles/*/*')}.items()
  # It is complete now, and fewer members are another run.
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained'))
  assert job.main(more, str(folder)) == report
  with pytest.raises(UserError, match='holds a run with Cosine; name it beside the others'):
    job.main(config, str(folder))
  more.total_epochs = 3
  with pytest.raises(UserError, match='not 3; .*`start=.*/bundles/pidkd-0` begins with'):
    job.main(more, str(folder))


def test_a_loss_that_is_not_finite_stops_the_run(config, whole, home):
  whole(config)
  config.method.weight = 1e38
  folder = home / 'nan'
  with pytest.raises(UserError, match=r'no member is finite .*pidkd-0 at step \d+\)'):
    job.main(config, str(folder))
  assert not (folder / 'bundles').exists()


def test_a_workdir_of_another_run_is_refused_and_left_alone(config, whole):
  folder = whole(config)
  before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
  config.learning_rate = 0.123
  with pytest.raises(UserError, match='learning_rate = 0.05 and not 0.123; give another'):
    job.main(config, str(folder))
  assert before == {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def other_classes(folder):
  """Makes a bundle one for other classes, with a manifest that fits."""
  loaded = load(folder)
  card = dict(loaded.card)
  card['dataset'] = card['dataset'] | {'class_names': list('abcdefghij')}
  bundle.save(folder, loaded.network, card)


def half_written(folder):
  (folder / 'manifest.json').unlink()


@pytest.mark.parametrize(
  ('damage', 'message'),
  [
    (
      other_classes,
      "do not have the same classes: they have other names \\(class 0 is 'a' and '0'\\); give",
    ),
    (half_written, 'half-written'),
  ],
)
def test_a_teacher_that_does_not_fit_is_refused(config, whole, home, damage, message):
  loaded = load(whole(config) / 'bundles' / 'pidkd-0')
  folder = home / damage.__name__
  bundle.save(folder, loaded.network, loaded.card)
  damage(folder)
  config.teacher.bundle = str(folder)
  with pytest.raises(UserError, match=message):
    job.main(config, str(home / 'refused'))
  assert not (home / 'refused').exists()


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('student', 'resnet88', "unknown model 'resnet88'; did you mean 'resnet8'"),
    ('teacher.model', 'wrn_16_3', "unknown model 'wrn_16_3'; did you mean 'wrn_16_"),
    ('data.name', 'digts', "unknown dataset 'digts'; did you mean 'digits'"),
    ('method.integration', 'men', "unknown integration 'men'; did you mean 'mean'"),
    ('method.num_projectors', 0, 'num_projectors is 0'),
    ('method.factor', 1000, 'factor is 1000; the target map of 7 channels'),
    ('batch_size', 0, 'batch_size is 0'),
    ('batch_size', 1298, 'batch_size is 1298; the training split of 1297 images'),
    ('total_epochs', 0, 'total_epochs is 0'),
    ('learning_rate', 0.0, 'learning_rate is 0.0; it must be greater than 0'),
    ('trials', 0, 'trials is 0'),
    ('first_trial', 2**31, 'first_trial is 2147483648; it must be below'),
    ('seed', 2**32, 'seed is 4294967296; it must be below'),
    ('momentum', float('nan'), 'momentum is nan; a finite number'),
    ('method.weight', float('inf'), 'method.weight is inf; a finite number'),
    ('drop_factor', -1.0, 'drop_factor is -1.0'),
    ('drops', ('a',), r"drops is \('a',\)"),
    ('data.flip', 7, 'data.flip is 7'),
    ('data.padding', 100, 'data.padding is 100'),
    ('drops', (1.5,), r'drops is \(1.5,\)'),
    ('data.holdout', 1.0, 'holdout is 1.0'),
    ('data.archive', '/nowhere/x.tar.gz', 'digits needs no archive'),
    ('data.dir', 'gs://bucket/data', 'gs://bucket/data; stage it to a local folder'),
    ('teacher.bundle', '/nowhere', "bundle '/nowhere' does not exist"),
  ],
)
def test_bad_input_is_one_line_and_writes_nothing(config, home, field, value, message):
  group, _, name = field.rpartition('.')
  (config[group] if group else config)[name] = value
  with pytest.raises(UserError, match=message) as error:
    job.main(config, str(home / 'bad'))
  assert '\n' not in str(error.value)
  assert not (home / 'bad').exists()


@pytest.mark.parametrize('folder', ['', 'gs://bucket/run'])
def test_a_workdir_must_be_local(config, folder):
  with pytest.raises(UserError, match='workdir'):
    job.main(config, folder)


def test_what_it_would_take_is_said_and_nothing_is_written(config, whole, home, monkeypatch):
  given = []
  monkeypatch.setattr(job.forecasts, 'describe', lambda *args: given.extend(args) or 'the text')
  whole(config)  # The teacher is kept.
  config.total_epochs = 3
  assert job.forecast(config, str(home / 'planned')) == 'the text'
  students, teacher, dataset, *_ = given
  assert students.recipe.total_epochs == 3 and dataset.spec.name == 'digits'
  assert isinstance(teacher, bundle.Bundle) and not (home / 'planned').exists()
  config.total_epochs = 2
  assert job.forecast(config, str(whole(config))).endswith('is complete; nothing would be trained.')
  config.batch_size = 0
  with pytest.raises(UserError, match='batch_size is 0'):
    job.forecast(config, str(home / 'planned'))
