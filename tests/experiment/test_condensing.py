"""A bundle with three projectors becomes a student without projectors."""

import json
import pathlib

import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from pidkd_jax import data, models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation.cost import parameters
from pidkd_jax.experiment import condensing, config
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network

pytestmark = pytest.mark.usefixtures('read_once', 'undrawn')


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('condensing')


@pytest.fixture(scope='module')
def facts(home):
  spec = data.load('digits', directory=str(home / 'tfds')).spec
  return bundle.dataset_card(spec, spec.normalisation)


def distilled(student):
  """Return a student with three projectors onto a map of seven channels."""
  return Distilled(
    num_classes=10,
    student=student,
    teacher=models.create('tests.plain:Plain', num_classes=10),
    num_projectors=3,
    hidden=4,
    integration='mean',
    target=(2, 2, 7),
    target_rectified=True,
  )


@pytest.fixture(scope='module')
def save(home, facts, fill):
  """Return a function that saves a bundle of random weights and returns its folder."""

  def save(name, seed=0):
    model = distilled(models.create('tests.plain:Plain', num_classes=10))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    bundle.save(home / name, Network(fill(shapes, seed), model), {'dataset': facts})
    return home / name

  return save


@pytest.fixture
def recipe(home):
  c = config.cohort()
  c.student = 'tests.plain:Plain'
  c.total_epochs = 1
  c.batch_size = 256
  c.learning_rate = (
    1e-4  # The random teacher's features are small, and errors count in their units.
  )
  c.data.dir = str(home / 'tfds')
  c.rows.none = config.row('linear')
  return c


def test_from_bundle_to_report(recipe, save, home):
  folder, run = save('three'), home / 'run'
  report = condensing.main(recipe, str(folder), str(run))
  own = models.families('tests.plain:Plain')
  whole, none = (bundle.load(place, own) for place in (folder, run / 'bundles' / 'none-0'))
  # Without projectors it is a plain student.
  plain = models.create('tests.plain:Plain', num_classes=10)
  shapes = jax.eval_shape(plain.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  assert none.network.model == plain
  assert parameters(none.network.variables['params']) == parameters(shapes['params'])
  for role in ('start', 'teacher'):
    assert none.card['training'][role]['digest'] == whole.digest
  size = parameters(whole.network.variables['params'])
  said = f"none deploys {none.card['cost']['parameters']:,} of the bundle's {size:,}"
  assert said in ' '.join(report.split())
  assert 'top-1 minus the' in report and '\nbundle Distilled' in report
  saved = json.loads((run / 'config.json').read_text())
  assert saved['start'] == saved['teacher']['bundle'] == str(folder)

  # Another bundle in the same place is another run.
  save('three', seed=1)
  with pytest.raises(UserError, match='holds a run with start = '):
    condensing.main(recipe, str(folder), str(run))


@pytest.mark.parametrize('other', [{'batch_size': 1}, ConfigDict({'batch_size': 1})])
def test_a_config_of_another_program_is_one_line(other):
  with pytest.raises(UserError, match='the config (is a dict|has no student).*; make it as'):
    condensing.forecast(other, 'bundle', 'run')


def test_the_card_may_name_a_student_but_no_code():
  def named(student, name):
    network = Network({}, distilled(models.create(student, num_classes=10)))
    return condensing.student(Bundle(network, {'network': name}, '', pathlib.Path('folder')))

  assert named('resnet8*0.25', 'resnet8*0.25') == 'resnet8*0.25'
  # The card's name has to be true. A network of the catalog needs none.
  assert named('resnet8', 'resnet14') == named('resnet8', '') == 'resnet8'
  for name in ('', 'no_such_module:Net', 'resnet8*much', 'resnet8*1e308', '*'):
    with pytest.raises(UserError, match="'folder' does not say what its student, a ResNet, is"):
      named('resnet8*0.3', name)
