"""A training that begins with the weights of a bundle, on other classes and other data."""

import dataclasses
import logging
import pathlib
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

import pidkd_jax as kd
from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.bundles.trained_network import TrainedNetwork
from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.experiment import start, teacher
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

pytestmark = pytest.mark.usefixtures('compiled_once')
NAME = 'tests.plain:Plain'
KERNEL = ('params', 'classifier', 'linear', 'kernel')


def flat(network):
  return traverse_util.flatten_dict(network.variables)


def is_body(path):
  return 'classifier' not in path


@pytest.fixture(scope='module')
def data():
  """Return 24 random images of three classes, 8x8."""
  rng = np.random.default_rng(0)
  images, labels = rng.integers(0, 256, (24, 8, 8, 3), np.uint8), np.arange(24) % 3
  return kd.data.from_arrays((images, labels), (images, labels), class_names=['ant', 'bee', 'cat'])


@pytest.fixture(scope='module')
def pretrained(fill):
  """Return a function that makes a bundle with random weights for classes of these names."""

  def pretrained(names, channels=3, seed=0):
    model = models.create(NAME, num_classes=4)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, channels)))
    facts = {
      'name': 'other',
      'class_names': names,
      'image_shape': [32, 32, channels],
      'mean': [0.4] * channels,
      'std': [0.2] * channels,
    }
    card = {'model': models.describe(model), 'dataset': facts}
    return Bundle(Network(fill(shapes, seed), model), card, f'digest {seed}', pathlib.Path('other'))

  return pretrained


def test_a_classifier_that_knows_every_class_is_kept_in_the_order_of_the_data(
  pretrained, data, caplog
):
  bundle = pretrained(['cat', 'dog', 'ant', 'bee'])
  with caplog.at_level(logging.INFO, 'pidkd_jax'):
    fitted = start.fitted('start', bundle, data.spec)
  before, after = flat(bundle.network), flat(fitted.network)
  assert before.keys() == after.keys() and fitted.network.model.num_classes == 3
  for path, value in after.items():
    # Of cat, dog, ant and bee the columns of ant, bee and cat.
    expected = before[path] if is_body(path) else before[path][..., jnp.array([2, 3, 0])]
    np.testing.assert_array_equal(value, expected)
  assert caplog.messages == ['start: its classifier is kept for the 3 classes']
  assert fitted.digest == bundle.digest


@pytest.mark.parametrize('names', [['ant', 'bee', 'dog', 'eel'], None])
def test_another_classifier_is_left_out_and_the_body_stays(pretrained, data, names, caplog):
  bundle = pretrained(names)
  with caplog.at_level(logging.INFO, 'pidkd_jax'):
    fitted = start.fitted('start', bundle, data.spec)
  body = {path: value for path, value in flat(bundle.network).items() if is_body(path)}
  assert flat(fitted.network).keys() == body.keys()
  unknown = '1 of the 3 classes: cat' if names else '3 of the 3 classes: ant, bee, cat'
  assert caplog.messages == [f'start: its classifier starts anew, as it does not know {unknown}']


def test_unnamed_classes_of_the_same_number_are_taken_in_their_order(pretrained, data, caplog):
  four = dataclasses.replace(data.spec, class_names=('ant', 'bee', 'cat', 'dog'))
  bundle = pretrained(None)
  fitted = start.fitted('start', bundle, four)
  np.testing.assert_array_equal(flat(fitted.network)[KERNEL], flat(bundle.network)[KERNEL])
  assert 'does not say which classes it knows' in caplog.text


def test_weights_for_other_channels_are_refused(pretrained, data):
  message = r'kernel of shape \[3, 3, 1, 5\], and the images of arrays, .*, need \[3, 3, 3, 5\]'
  with pytest.raises(UserError, match=message):
    start.fitted('start', pretrained(None, channels=1), data.spec)


def test_pixels_that_are_equal_in_float32_are_no_others(pretrained):
  bundle = pretrained(None)
  rounded = float(np.float32(0.4))  # As a card has it where the statistics came as arrays.
  assert rounded != 0.4
  start.check_normalisation('start', bundle, Normalisation((0.4, 0.4, rounded), (0.2,) * 3))
  message = r'start was .* another mean .* \(\[0.4, 0.4, 0.4\] and not \[0.4, 0.4, 0.401\]\); give'
  with pytest.raises(UserError, match=message):
    start.check_normalisation('start', bundle, Normalisation((0.4, 0.4, 0.401), (0.2,) * 3))


def training(folder, begin, data):
  """Return the training of a teacher that moves no parameter."""
  member = Member('teacher', NAME, 'scratch', {}, OptimizerHparams(1e-30, 0.0), -1)
  recipe = Recipe(total_epochs=1, batch_size=8)
  experiment = Experiment((member,), recipe, seed=0, padding=1, flip=True)
  return teacher.Training(experiment, teacher.folder_of(experiment, data, folder, begin), begin)


def test_a_teacher_begins_with_the_body_and_is_kept_for_this_start_alone(
  pretrained, data, tmp_path, monkeypatch
):
  bundle = start.fitted('start', pretrained(['dog', 'eel', 'fox', 'gnu']), data.spec)
  execution = Execution(2**40, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))
  trained = teacher.train(training(tmp_path, bundle, data), data, execution)
  card = trained.card
  assert card['dataset']['class_names'] == ['ant', 'bee', 'cat']
  # It sees the pixels as its start saw them.
  assert card['dataset']['mean'] == [0.4] * 3
  assert card['training']['start']['digest'] == bundle.digest
  with np.load(trained.file) as file:
    saved = {name: file[name] for name in file.files}
  for path, value in flat(bundle.network).items():
    if path[0] == 'params':
      np.testing.assert_array_equal(saved['/'.join(path)], value)
  assert np.any(saved['/'.join(KERNEL)])  # The new classifier is random.
  monkeypatch.setattr(Progress, 'advance', lambda *_: pytest.fail('it trained again'))
  again = training(tmp_path, bundle, data)
  assert teacher.train(again, data, execution).digest == trained.digest
  other = dataclasses.replace(bundle, digest='another')
  folders = {training(tmp_path, one, data).folder for one in (bundle, other, None)}
  assert len(folders) == 3
  # What lies in its folder is not taken for the teacher of another start.
  assert again.folder.exists()
  with pytest.raises(UserError, match='does not come from the training'):
    teacher.kept(dataclasses.replace(again, start=other), data)


def test_from_python_a_stopped_training_goes_on_exactly(pretrained, data, tmp_path, monkeypatch):
  bundle = pretrained(['ant', 'bee', 'cat', 'dog'])
  taken = TrainedNetwork(bundle)
  settings = {'epochs': 2, 'batch_size': 8, 'learning_rate': 0.01, 'start': taken}
  whole = kd.train(NAME, data, workdir=tmp_path / 'whole', **settings)
  advance = Progress.advance

  def stop(*args, **kwargs):
    signal.raise_signal(signal.SIGTERM)
    return advance(*args, **kwargs)

  with monkeypatch.context() as patched:
    patched.setattr(Progress, 'advance', stop)
    with pytest.raises(Stopped):
      kd.train(NAME, data, workdir=tmp_path / 'stopped', **settings)
  resumed = kd.train(NAME, data, workdir=tmp_path / 'stopped', **settings)
  for path, value in flat(whole.network).items():
    np.testing.assert_array_equal(flat(resumed.network)[path], value)
  with pytest.raises(UserError, match="start = 'digest 0' and not 'digest 1'"):
    other = TrainedNetwork(pretrained(['ant', 'bee', 'cat', 'dog'], seed=1))
    kd.train(NAME, data, workdir=tmp_path / 'whole', **settings | {'start': other})
  with pytest.raises(UserError, match='network trains resnet8, which is not the Plain'):
    kd.train('resnet8', data, **settings)
