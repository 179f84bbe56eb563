"""A method that the user wrote, by its name 'module:Class'."""

import dataclasses
import pathlib
import sys

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import methods, models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core import own_code
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.experiment import arguments, assembly, run
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.methods import catalog
from pidkd_jax.models.network import Network
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from tests.methods import own
from tests.plain import Plain

NAME = 'tests.methods.own:Cosine'
HARNESS = {'label_weight': 1.0, 'divergence_weight': 1.0, 'temperature': 4.0}


def test_its_hyper_parameters_are_fields_of_its_row():
  assert methods.defaults(NAME) == {**HARNESS, 'weight': 1.0}
  assert isinstance(methods.defaults(NAME)['weight'], float)  # As it is annotated.
  first = configuration.default(f'{NAME},kd_1_1')
  assert (first.method.name, first.method.weight) == (NAME, 1.0)
  second = configuration.default(f'kd_1_1,{NAME}')
  assert second.compare.Cosine.to_dict() == {**HARNESS, 'weight': 1.0, 'method': NAME}
  for config in (first, second):
    rows = configuration.rows(config)
    assert rows.keys() == {'Cosine', 'kd_1_1'}
    assert (rows['Cosine']['method'], rows['Cosine']['weight']) == (NAME, 1.0)
  assert configuration.row(NAME, weight=2.0).weight == 2.0


def test_a_name_chooses_it_in_python_too():
  specs = arguments.methods({'mine': NAME, 'heavy': methods.method(NAME, weight=2.0)})
  assert [spec.name for spec in specs.values()] == [NAME, NAME]
  assert list(arguments.methods([NAME, 'kd_1_1'])) == ['Cosine', 'kd_1_1']


def test_two_classes_of_one_name_are_refused():
  def make(factor):
    class Own(methods.Method):
      def loss(self, batch, teacher, *, progress):
        return {'mean': factor * jnp.mean(self.student(batch.image, train=True))}

    return Own

  first, second = make(1.0), make(2.0)
  for both in ({'a': first, 'b': second}, [first, second]):
    with pytest.raises(UserError, match=r"named '.*<locals>.Own'.*give them different names"):
      arguments.methods(both)
  # So is a choice whose class has been defined anew since.
  chosen = methods.method(first)
  assert arguments.methods({'a': chosen, 'b': first})
  methods.method(second)
  with pytest.raises(UserError, match='call kd.method anew'):
    arguments.methods({'a': chosen})


def test_a_name_means_the_class_that_its_module_holds_now(monkeypatch):
  class Cosine(own.Cosine):
    weight: float = 3.0

  class Local(own.Cosine):
    pass

  monkeypatch.setattr(catalog, '_OWN', {})
  # The module has defined another class of this name since.
  Cosine.__module__, Cosine.__qualname__ = NAME.split(':')
  assert methods.method(Cosine).kind is Cosine and methods.defaults(NAME)['weight'] == 3.0
  # A class that was given is the one that trains.
  assert methods.create(NAME).func is Cosine
  assert methods.method(NAME).kind is own.Cosine and methods.defaults(NAME)['weight'] == 1.0
  # A class that cannot be imported by its name is found all the same.
  assert methods.method(methods.method(Local).name).kind is Local


def test_a_partial_of_one_will_do():
  assert methods.defaults('tests.methods.own:heavy') == HARNESS
  made = methods.create('tests.methods.own:heavy')(student=None, target=None, dataset=None)
  assert made.weight == 5.0


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('tests.methods.own:Cosin', "method of 'tests.methods.own' 'Cosin'; did you mean 'Cosine'"),
    ('tests.methods.nowhere:Cosine', "there is no module 'tests.methods.nowhere'; start in the"),
    ('own.py:', 'a method of your own is named package.module:Class'),
    ('tests.methods.own:number', 'is no method; make it a subclass of'),
    ('tests.plain:Plain', 'is no method; make it a subclass of'),
    ('tests.methods.own:Bare', 'lacks loss, which a method must define'),
    ('tests.methods.own:Required', 'power of .* has no default; give it one'),
    ('tests.methods.own:Odd', r'powers of .* is \(1, 2\) by default; .* bool, int, float, str'),
    ('tests.methods.own:Hurried', "weight_decay of .* has the name of the optimizer's"),
    ('tests.methods.own:Taken', "'trials' of .* is a field of every row"),
    (f'{NAME},other:Cosine', 'one is named twice'),
  ],
)
def test_a_name_that_leads_nowhere_is_one_line(name, message):
  with pytest.raises(UserError, match=message) as error:
    configuration.default(name)
  assert '\n' not in str(error.value)


def test_a_module_that_raises_is_one_line(tmp_path, monkeypatch):
  (tmp_path / 'broken_methods.py').write_text('x = 1\nraise ValueError("no\\nway")\n')
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UserError, match=r'ValueError: no way \(.*, line 2\); mend it') as error:
    methods.defaults('broken_methods:Cosine')
  assert '\n' not in str(error.value)


@pytest.fixture(scope='module')
def teacher():
  model = Plain(num_classes=3)
  variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  spec = noise.dataset(32, 8, 3).spec
  card = {
    'dataset': {'mean': spec.normalisation.mean, 'std': spec.normalisation.std},
    'model': models.describe(model),
  }
  return Bundle(Network(variables, model), card, 'toy', pathlib.Path('toy'))


def experiment(method, **hyperparameters):
  member = Member('own', 'tests.plain:Plain', method, hyperparameters, OptimizerHparams(), 0)
  recipe = Recipe(total_epochs=1, batch_size=16)
  return Experiment((member,), recipe, seed=0, padding=1, flip=True)


def test_a_failure_names_its_line(teacher):
  plan = experiment('tests.methods.own:Failing')
  names = ['tests.plain:Plain', 'tests.methods.own:Failing']
  with (
    pytest.raises(UserError, match=r'^tests.methods.own:Failing fails: .*own.py, line 27\)'),
    own_code.explain_errors(*names),
  ):
    assembly.dry_run(plan, noise.dataset(32, 8, 3), teacher.network)


def test_it_trains_and_its_bundle_needs_it_no_more(teacher, tmp_path, monkeypatch):
  data, plan = noise.dataset(32, 8, 3), experiment(NAME, weight=2.0)
  execution = Execution(2**40, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))
  run.execute(plan, data, teacher, tmp_path, 'students', execution)
  monkeypatch.delitem(sys.modules, 'tests.methods.own')
  loaded = bundle.load(tmp_path / 'bundles' / 'own-0', [Plain])
  assert 'tests.methods.own' not in sys.modules
  member = loaded.card['training']['member']
  assert member == dataclasses.asdict(plan.members[0])
  assert isinstance(loaded.network.model, Plain)
