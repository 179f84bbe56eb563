"""Train and distil from Python: `kd.train` and `kd.distill`, without a configuration."""

import dataclasses
import functools
import json
import re
import signal
import threading
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import pidkd_jax as kd
from pidkd_jax.bundles.trained_network import TrainedNetwork
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.experiment import arguments, run, workdir
from pidkd_jax.training import metrics, writers
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams
from tests import plain
from tests.experiment import widenable
from tests.given import Linear
from tests.plain import Plain
from tests.training.toy_writer import Toy

pytestmark = pytest.mark.usefixtures('compiled_once')
KEYWORDS = {'student': Plain, 'epochs': 1, 'batch_size': 32}


@pytest.fixture(scope='module')
def data():
  """Return two classes of 16x16 images, one of them brighter."""
  rng = np.random.default_rng(0)
  labels = np.arange(96) % 2
  images = rng.integers(0, 128, (96, 16, 16, 3)) + 100 * labels[:, None, None, None]
  images = images.astype(np.uint8)
  return kd.data.from_arrays((images[:64], labels[:64]), (images[64:], labels[64:]))


@pytest.fixture(scope='module')
def teacher(data):
  return kd.train(Plain, data, epochs=1, batch_size=32)


def test_a_trained_network_predicts_saves_and_loads(teacher, data, tmp_path):
  images = data.test.images
  probabilities = teacher.predict(images)
  assert probabilities.shape == (32, 2)
  np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
  assert teacher.metrics['top1'] == np.mean(probabilities.argmax(axis=1) == data.test.labels)
  assert teacher.class_names == ('0', '1') and 'top-1' in repr(teacher)
  teacher.save(tmp_path / 'teacher')
  again = kd.load(tmp_path / 'teacher', [Plain])
  np.testing.assert_array_equal(again.predict(images), probabilities)
  assert again.bundle.digest == kd.load(tmp_path / 'teacher', [Plain]).bundle.digest
  logits = again.network.classify(
    again.network.encode(again.bundle.normalisation(images[:2])).pooled
  )
  np.testing.assert_allclose(logits, teacher.logits(images[:2]), rtol=1e-4, atol=1e-5)


def test_saving_replaces_a_bundle_and_nothing_else(teacher, tmp_path):
  teacher.save(tmp_path / 'bundle')
  teacher.save(tmp_path / 'bundle')
  (tmp_path / 'letters').mkdir()
  (tmp_path / 'letters' / 'one').write_text('dear')
  with pytest.raises(kd.UserError, match='is there already and is no bundle'):
    teacher.save(tmp_path / 'letters')
  assert (tmp_path / 'letters' / 'one').read_text() == 'dear'


def test_methods_have_labels_and_trials(teacher, data):
  students = kd.distill(
    teacher,
    data,
    methods={'four': kd.method('pidkd', num_projectors=4, factor=2), 'kd': 'kd_1_1'},
    trials=2,
    **KEYWORDS,
  )
  assert list(students) == ['four', 'kd'] and len(students) == 2
  assert [len(students.trials[label]) for label in students] == [2, 2]
  assert students['four'] is students.trials['four'][0]
  assert students['four'].network.model.num_projectors == 4
  first, second = (one.predict(data.test.images) for one in students.trials['kd'])
  assert not np.array_equal(first, second)
  # The folder is gone by now.
  text, markdown = str(students), students._repr_markdown_()
  assert '±: standard deviation over 2 trials; [ ]: 95% interval.' in text
  for shown in (text, markdown):
    assert 'top-1 minus four' in shown and 'agreement' in shown
    names = re.findall(r'(?m)^\W*(teacher|four|kd) ', shown)
    assert names[0] == 'teacher' and sorted(names[1:]) == ['four', 'kd']
  assert '| network ' in markdown and '|' not in text
  # The same trial of the same method is bit-identical when it trains alone.
  alone = kd.distill(teacher, data, methods='kd_1_1', **KEYWORDS)
  np.testing.assert_array_equal(alone['kd_1_1'].predict(data.test.images), first)


def test_a_finished_folder_is_read_and_not_trained_again(teacher, data, tmp_path, monkeypatch):
  monkeypatch.setitem(writers.catalog.writers(), 'toy', Toy)
  monkeypatch.setattr(Toy, 'calls', [])
  where = {'workdir': tmp_path / 'run', 'methods': ['simkd', 'scratch'], 'writers': ['toy']}
  students = kd.distill(teacher, data, **where, **KEYWORDS)
  opened, *rows, results, closed = Toy.calls
  assert opened[1] == 'run' and opened[2]['simkd-0']['method'] == 'simkd'
  assert {member for _, member, _ in rows} == {'simkd-0', 'scratch-0', 'teacher'}
  assert results[1]['simkd-0']['top1'] == students['simkd'].metrics['top1']
  assert closed == ('close', True)
  assert (tmp_path / 'run' / 'teacher.json').exists()
  assert {row['member'] for row in metrics.read(tmp_path / 'run')} == {'simkd-0', 'scratch-0'}
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained again'))
  # An earlier version, which has fewer fields, would have written this.
  path = tmp_path / 'run' / 'config.json'
  config = json.loads(path.read_text())
  del config['shots'], config['recipe']['schedule'], config['recipe']['ema']
  path.write_text(json.dumps(config))
  again = kd.distill(teacher, data, **where, **KEYWORDS)
  for label in students:
    np.testing.assert_array_equal(
      again[label].predict(data.test.images), students[label].predict(data.test.images)
    )
  with pytest.raises(kd.UserError, match='holds a run with seed = 0 and not 1'):
    kd.distill(teacher, data, seed=1, **where, **KEYWORDS)


def test_a_finished_folder_gains_trials(teacher, data, tmp_path):
  where = {'workdir': tmp_path / 'run', 'methods': 'scratch'}
  before = kd.distill(teacher, data, **where, **KEYWORDS)['scratch']
  first, second = kd.distill(teacher, data, trials=2, **where, **KEYWORDS).trials['scratch']
  images = data.test.images
  np.testing.assert_array_equal(first.predict(images), before.predict(images))
  assert not np.array_equal(second.predict(images), before.predict(images))
  with pytest.raises(kd.UserError, match='holds a run with trials of scratch = 2 and not 1'):
    kd.distill(teacher, data, **where, **KEYWORDS)


class Squares(kd.methods.Method):
  """The mean square of the student's logits: a method of the user's own."""

  weight: float = 1.0

  def loss(self, batch, teacher, *, progress):
    del teacher, progress
    return {'squares': self.weight * jnp.mean(jnp.square(self.student(batch.image, train=True)))}


def content(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_start_with_another_teacher_is_refused_and_changes_nothing(
  teacher, data, tmp_path, monkeypatch
):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  monkeypatch.setattr(run, '_train', stop)
  where = {'workdir': tmp_path, 'methods': 'scratch'}
  with pytest.raises(kd.Stopped):
    kd.distill(teacher, data, **where, **KEYWORDS)
  before = content(tmp_path)
  other = TrainedNetwork(dataclasses.replace(teacher.bundle, digest='other'))
  with pytest.raises(kd.UserError, match='holds a run with teacher = '):
    kd.distill(other, data, trials=2, **where, **KEYWORDS)
  with workdir.locked(tmp_path), pytest.raises(kd.UserError, match='another run is at work'):
    kd.distill(teacher, data, trials=2, **where, **KEYWORDS)
  assert content(tmp_path) == before


def test_a_method_of_ones_own_is_a_class(teacher, data):
  students = kd.distill(
    teacher, data, methods={'half': kd.method(Squares, weight=0.5), 'kd': 'kd_1_1'}, **KEYWORDS
  )
  assert list(students) == ['half', 'kd']
  member = students['half'].card['training']['member']
  assert member['method'].endswith(':Squares') and member['hyperparameters'] == {'weight': 0.5}
  assert list(kd.distill(teacher, data, methods=Squares, **KEYWORDS)) == ['Squares']
  with pytest.raises(kd.UserError, match='hyper-parameter of .*Squares'):
    kd.method(Squares, wieght=0.5)
  with pytest.raises(kd.UserError, match='int is no method'):
    kd.method(int)


class Half(Linear):
  """Parameters that no bundle can hold."""

  def setup(self):
    self.linear = nn.Dense(self.num_classes, param_dtype=jnp.bfloat16)


class Activated(Plain):
  """A field that no bundle can hold."""

  act: Callable = nn.relu


@pytest.fixture
def untrainable(monkeypatch):
  monkeypatch.setattr(run, 'execute', lambda *_: pytest.fail('it trained'))


@pytest.mark.parametrize(
  'model, message',
  [
    (Half, 'linear/.* of Half is bfloat16, which a bundle cannot hold'),
    (Activated, 'act of .*:Activated is .*, which a bundle cannot hold'),
  ],
)
@pytest.mark.usefixtures('untrainable')
def test_a_network_that_cannot_be_saved_is_refused_before_it_trains(data, tmp_path, model, message):
  with pytest.raises(kd.UserError, match=message):
    kd.train(model, data, epochs=1, batch_size=32, workdir=tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.usefixtures('untrainable')
def test_a_class_that_was_defined_anew_is_not_taken_for_the_one_before(teacher, data, monkeypatch):
  again = type('Plain', (Plain,), {'__module__': Plain.__module__, '__qualname__': 'Plain'})
  monkeypatch.setattr(plain, 'Plain', again)
  with pytest.raises(kd.UserError, match="'tests.plain:Plain', and only the later one would train"):
    kd.train(Plain, data, epochs=1)
  # The teacher is of the class before.
  with pytest.raises(kd.UserError, match="'tests.plain:Plain', as one was defined anew"):
    kd.distill(teacher, data, **KEYWORDS | {'student': again})


def test_a_network_whose_fields_have_changed_is_another_run(data, tmp_path, monkeypatch):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  def train():
    """Begin the run, and return how it describes the network."""
    with pytest.raises(kd.Stopped):
      kd.train(name, data, epochs=1, batch_size=32, workdir=tmp_path)
    return json.loads(path.read_text())['networks'][name]

  monkeypatch.setattr(run, '_train', stop)
  name, path = 'tests.experiment.widenable:Widenable', tmp_path / 'config.json'
  assert train() == train()
  changed = functools.partial(widenable.Widenable, widths=(4, 5, 6))
  monkeypatch.setattr(widenable, 'Widenable', changed)
  with pytest.raises(kd.UserError, match=r'widths = \[12, 16, 20\] and not \[4, 5, 6\]; give'):
    train()
  # A folder of an older version does not describe it.
  config = json.loads(path.read_text())
  del config['networks']
  path.write_text(json.dumps(config))
  assert train()['widths'] == [4, 5, 6]


class Numbered(kd.methods.Method):
  """A method whose number is a default."""

  weight: float = 1.0

  def loss(self, batch, teacher, *, progress):
    logits = self.student(batch.image, train=True)
    return {'logits': self.weight * (logits - teacher.logits) ** 2}


def test_a_method_whose_numbers_have_changed_is_another_run(teacher, data, tmp_path, monkeypatch):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  def distil(**changes):
    with pytest.raises(kd.Stopped):
      kd.distill(teacher, data, methods=Numbered, workdir=tmp_path, **KEYWORDS | changes)

  monkeypatch.setattr(run, '_train', stop)
  distil()
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['methods'] == {'Numbered': {'weight': 1.0}}
  distil(trials=2)
  fields = Numbered.__dataclass_fields__
  monkeypatch.setattr(fields['weight'], 'default', 1000.0)
  with pytest.raises(kd.UserError, match='methods.Numbered.weight = 1.0 and not 1000.0; give'):
    distil(trials=2)


def test_with_a_holdout_the_evaluations_are_part_of_the_run(teacher, data, tmp_path, monkeypatch):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  def distil(**changes):
    with pytest.raises(kd.Stopped):
      kd.distill(teacher, data, methods='kd_1_1', **KEYWORDS | changes)

  monkeypatch.setattr(run, '_train', stop)
  for every in (1, 2):
    distil(workdir=tmp_path / 'last', eval_every=every)
  distil(workdir=tmp_path / 'chosen', holdout=0.25)
  with pytest.raises(kd.UserError, match='eval_every = 1 and not 2'):
    distil(workdir=tmp_path / 'chosen', holdout=0.25, eval_every=2)


def test_other_names_of_the_classes_and_other_numbers_of_the_pixels_are_other_data(
  data, tmp_path, monkeypatch
):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  def train(**changes):
    images = (data.train.images, data.train.labels), (data.test.images, data.test.labels)
    given = kd.data.from_arrays(*images, **{'class_names': ('a', 'b')} | changes)
    with pytest.raises(kd.Stopped):
      kd.train(Plain, given, epochs=1, batch_size=32, workdir=tmp_path)

  monkeypatch.setattr(run, '_train', stop)
  train()
  train(name='renamed')
  with pytest.raises(kd.UserError, match="class_names = 'a, b' and not 'b, a'; give another"):
    train(class_names=('b', 'a'))
  with pytest.raises(kd.UserError, match="normalisation = '.*' and not '0, 0, 0, 1, 1, 1'; give"):
    train(normalisation=Normalisation((0.0,) * 3, (1.0,) * 3))


def test_a_bundle_of_ones_own_network_is_named_by_class_or_name(data, tmp_path, monkeypatch):
  def stop(*_):
    raise kd.Stopped('stopped', 143)

  name = 'tests.experiment.widenable:Widenable'
  kd.train(name, data, epochs=1, batch_size=32).save(tmp_path / 'own')
  for own in (widenable.Widenable, name, [name]):
    assert type(kd.load(tmp_path / 'own', own).network.model) is widenable.Widenable
  with pytest.raises(kd.UserError, match='`own` is 3; give a subclass of kd.models.Model'):
    kd.load(tmp_path / 'own', [3])
  with pytest.raises(kd.UserError, match=f'by kd.load\\(FOLDER, own\\), with own={name}'):
    kd.distill(tmp_path / 'own', data, **KEYWORDS)
  monkeypatch.setattr(run, '_train', stop)
  with pytest.raises(kd.Stopped):
    kd.distill(tmp_path / 'own', data, **KEYWORDS | {'student': name})


def test_a_teacher_of_ones_own_class_shares_its_classifier(teacher, data):
  [student] = kd.distill(teacher, data, methods=kd.method('simkd', factor=2), **KEYWORDS).values()
  assert type(student.network.model.teacher) is Plain


def test_an_earlier_run_below_the_folder_is_left_alone(teacher, data, tmp_path):
  first = kd.distill(teacher, data, methods='scratch', workdir=tmp_path / 'a' / 'b', **KEYWORDS)
  again = kd.distill(teacher, data, methods='scratch', seed=1, workdir=tmp_path / 'a', **KEYWORDS)
  assert again['scratch'].bundle.folder == tmp_path / 'a' / 'bundles' / 'scratch-0'
  images = data.test.images
  assert not np.array_equal(again['scratch'].predict(images), first['scratch'].predict(images))


def test_a_label_whose_trials_all_diverged_says_so(teacher, data):
  methods = {'wild': kd.method(Squares, weight=1e38), 'calm': 'scratch'}
  students = kd.distill(teacher, data, methods=methods, **KEYWORDS)
  assert students.trials['wild'] == []
  assert 'Diverged, and left out of every table: wild-0 at step 1.' in repr(students)
  with pytest.raises(kd.UserError, match="every trial of 'wild' diverged"):
    students['wild']
  assert 'top1' in students['calm'].metrics


def test_it_works_off_the_main_thread(teacher, data, tmp_path):
  handler = signal.getsignal(signal.SIGTERM)
  results = []

  def work():
    results.append(kd.distill(teacher, data, workdir=tmp_path / 'run', **KEYWORDS))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join(timeout=300)
  assert [list(students) for students in results] == [['pidkd']]
  assert signal.getsignal(signal.SIGTERM) is handler


def test_few_shots_need_fewer_images(teacher, data):
  recipe = kd.Recipe(batch_size=9, schedule='cosine')
  [student] = kd.distill(
    teacher, data, student=Plain, epochs=1, batch_size=4, shots=2, methods='scratch', recipe=recipe
  ).values()
  training = student.card['training']
  assert training['shots'] == 2
  # What is given beside a recipe stands for its own value.
  assert kd.Recipe(**training['recipe'] | {'drops': recipe.drops}) == dataclasses.replace(
    recipe, total_epochs=1, batch_size=4
  )


@pytest.mark.parametrize(
  'change, message',
  [
    ({'student': 'resnet9'}, "unknown model 'resnet9'; did you mean"),
    ({'student': Plain(num_classes=2)}, "a Plain object; give its name, such as 'resnet8'"),
    ({'methods': 'pidk'}, "unknown method 'pidk'; did you mean 'pidkd'"),
    ({'methods': {'a/b': 'pidkd'}}, "the label 'a/b' cannot be a folder"),
    ({'methods': {'bundle': 'pidkd'}}, "the label 'bundle' is what reports call the teacher"),
    ({'methods': []}, 'no method was given'),
    ({'methods': ['kd_1_1', 'kd_1_1']}, 'a method is named twice'),
    ({'epochs': 0}, 'total_epochs is 0'),
    ({'trials': 0}, 'trials is 0'),
    ({'batch_size': 65}, 'batch_size is 65'),
    ({'learning_rate': 0.0}, 'learning_rate is 0.0'),
    ({'precision': 'float16'}, "unknown precision 'float16'"),
    ({'recipe': kd.Recipe(optimizer='adam')}, "unknown optimizer 'adam'; did you mean 'adamw'"),
    ({'recipe': kd.Recipe(warmup=1.0)}, 'warmup is 1.0; a share below 1'),
    ({'recipe': kd.Recipe(clip_norm=float('nan'))}, 'clip_norm is nan; a finite number is needed'),
    ({'weight_decay': -0.1}, '^weight_decay is -0.1; it must be at least 0'),
    ({'seed': 2**32}, r'^seed is 4294967296; it must be below 2\*\*32'),
    ({'shots': 33}, 'shots is 33'),
    ({'shots': -1}, '^shots is -1; it must be at least 0'),
    ({'holdout': 1.5}, 'holdout is 1.5; a share below 1'),
    ({'epochs': 2.5}, 'total_epochs is 2.5; a whole number is needed'),
    ({'epochs': '6'}, "total_epochs is '6'; a whole number is needed"),
    ({'trials': 2.0}, 'trials is 2.0; a whole number'),
    ({'seed': None}, 'seed is None; a whole number'),
    ({'eval_every': 2.5}, 'eval_every is 2.5; a whole number'),
    ({'learning_rate': float('inf')}, 'learning_rate is inf; a finite number'),
    ({'rest': 'no'}, "rest is 'no'; True or False is needed"),
    (
      {'recipe': kd.Recipe(drops=0.5)},
      'drops is 0.5; fractions of the training are needed, 0 to 1',
    ),
    ({'crops': kd.Crops(flip='no')}, "flip is 'no'; True or False"),
    ({'crops': kd.Crops(padding=1.5)}, 'padding is 1.5; a whole number'),
    ({'crops': kd.Crops(crop_aspect=(0.5, float('inf')))}, r'\(0.5, inf\); two numbers above 0'),
    ({'methods': {1: 'pidkd'}}, 'the label 1 is no text; give one'),
    ({'methods': {'a' * 260: 'pidkd'}}, 'cannot be a folder'),
    ({'methods': {'a\0': 'pidkd'}}, 'cannot be a folder'),
    ({'methods': {'a': ['pidkd']}}, 'a method is given as a list; give its name'),
    ({'methods': None}, 'a method is given as a NoneType'),
    ({'teacher': 'resnet8'}, "the teacher is 'resnet8', a network that is not trained; train it"),
    ({'teacher': []}, 'the teacher is given as a list; give one trained network, or'),
    ({'start': [1]}, 'start is given as a list; give one trained network, or'),
    ({'writers': 'wandbb'}, "unknown writer 'wandbb'"),
    ({'data': 'digits'}, r"^data is given as str; give kd.data.load\('digits'\) or"),
    ({'crops': 'resized'}, r"^`crops` is given as str; give kd.Crops\('resized'\)"),
    ({'recipe': {'warmup': 0.1}}, '^`recipe` is given as dict; give kd.Recipe'),
    ({'recipe': kd.Recipe(ema=1 - 1e-9)}, 'ema is 0.999999999; a share below 1 is needed'),
    ({'recipe': kd.Recipe(ema=1e-50)}, 'ema is 1e-50; a share below 1 is needed, from 1e-7'),
  ],
)
def test_a_mistake_is_one_line_before_anything_is_written(teacher, data, tmp_path, change, message):
  with pytest.raises(kd.UserError, match=message) as raised:
    given = {'teacher': teacher, 'data': data, 'workdir': tmp_path / 'run'}
    kd.distill(**given | KEYWORDS | change)
  assert '\n' not in str(raised.value)
  assert not (tmp_path / 'run').exists()


def test_numbers_of_numpy_are_numbers(data):
  experiment = arguments.experiment(
    (),
    data,
    arguments.recipe(kd.Recipe(), np.int64(2), np.int32(8), None),
    kd.Crops(padding=np.int64(1)),
    seed=np.int64(3),
  )
  assert json.loads(json.dumps(dataclasses.asdict(experiment)))['seed'] == 3
  assert arguments.optimizer(np.float32(0.5), 0) == OptimizerHparams(0.5, 0.0)


def test_writers_need_a_folder_that_stays(data, monkeypatch):
  monkeypatch.setitem(writers.catalog.writers(), 'toy', Toy)
  with pytest.raises(kd.UserError, match='`writers` are toy, and there is no `workdir`; give one'):
    kd.train(Plain, data, epochs=1, batch_size=32, writers='toy')


def test_students_are_there_also_where_one_diverged():
  students = kd.Distillation({'a': [], 'b': ['network']}, None, None)
  assert 'a' in students and 'c' not in students and len(students) == 2


def test_a_teacher_of_other_classes_is_refused(teacher, data):
  labels = np.arange(len(data.train.labels)) % 3
  other = kd.data.from_arrays((data.train.images, labels))
  with pytest.raises(kd.UserError, match='the teacher is for the 2 classes'):
    kd.distill(teacher, other, **KEYWORDS)
