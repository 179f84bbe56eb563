"""A model that the user wrote: named on the command line, never by a file."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import pidkd_jax as kd
from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import job

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = '''
import functools

from flax import linen as nn

from pidkd_jax.models.base import Model


class Tiny(Model):
  """Two strided convolutions, a wider head and a linear layer."""

  width: int = 8

  def setup(self):
    self.first = nn.Conv(self.width, (3, 3), strides=2)
    self.second = nn.Conv(2 * self.width, (3, 3), strides=2)
    self.last = nn.Conv(24, (1, 1))
    self.linear = nn.Dense(self.num_classes)

  def stages(self, image, train=False):
    first = nn.relu(self.first(image))
    return first, nn.relu(self.second(first))

  def head(self, last, train=False):
    return nn.relu(self.last(last))

  def classify(self, pooled):
    return self.linear(pooled)


class Callback(Tiny):
  activation: object = nn.relu


class Half(Tiny):
  """A head whose parameters no bundle can hold."""

  def setup(self):
    super().setup()
    self.half = nn.Conv(24, (1, 1), param_dtype='bfloat16')

  def head(self, last, train=False):
    return nn.relu(self.half(last))


class Noisy(Tiny):
  """Dropout, and fields that a bundle cannot hold unless they are set otherwise."""

  bound: float = float('inf')

  def setup(self):
    super().setup()
    self.dropout = nn.Dropout(0.5)

  def stages(self, image, train=False):
    first, second = super().stages(image, train)
    return first, self.dropout(second, deterministic=not train)


class Required(Model):
  extra: int

  def stages(self, image, train=False):
    return (image,)

  def classify(self, pooled):
    return pooled


class Bare(Model):
  pass


class Unclassified(Model):
  def stages(self, image, train=False):
    return (image,)


noisy = functools.partial(Noisy, bound=1.0)


wide = functools.partial(Tiny, width=16)
plain = nn.Dense
number = 3


def fixed(num_classes):
  return Tiny(num_classes=1000)


def something(num_classes):
  return 'no network'
'''
TINY = 'my_package.my_models:Tiny'


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  folder = tmp_path_factory.mktemp('own')
  (folder / 'my_package').mkdir()
  (folder / 'my_package' / '__init__.py').write_text('')
  (folder / 'my_package' / 'my_models.py').write_text(TEXT)
  yield folder
  # Other tests have a package of that name elsewhere.
  for module in [name for name in sys.modules if name.split('.')[0] == 'my_package']:
    del sys.modules[module]


@pytest.fixture(autouse=True)
def importable(home, monkeypatch):
  monkeypatch.syspath_prepend(home)


@pytest.fixture
def config(home):
  c = configuration.default('pidkd')
  c.student = c.teacher.model = TINY
  c.method.num_projectors = 2
  c.total_epochs = c.teacher.total_epochs = 1
  c.batch_size = c.teacher.batch_size = 256
  c.data.name = 'digits'
  c.data.dir = str(home / 'tfds')
  return c


def evaluate(home, *arguments):
  return subprocess.run(
    [sys.executable, ROOT / 'scripts' / 'evaluate.py', '--data_dir', home / 'tfds', *arguments],
    cwd=home,  # Where the package lies: nothing else makes it known.
    env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'},
    capture_output=True,
    text=True,
    check=False,
  )


def test_it_is_teacher_and_student_and_loads_only_where_it_is_named(config, home):
  report = job.main(config, str(home / 'run'))
  written = (home / 'run' / 'report.md').read_text()
  assert f'teacher {TINY}' in written and f'pidkd {TINY}' in written
  folder = home / 'run' / 'bundles' / 'pidkd-0'
  with pytest.raises(UserError, match='imported only if you name it yourself by `own=' + TINY):
    bundle.load(folder)
  loaded = bundle.load(folder, models.families(TINY))
  # Of the student neither head nor classifier, of the teacher its classifier alone.
  parts = {name: set(tree) for name, tree in loaded.network.variables['params'].items()}
  assert parts == {
    'student': {'first', 'second'},
    'projectors': {'projectors'},
    'teacher': {'linear'},
  }
  # A run that is complete is taken up again.
  assert job.main(config, str(home / 'run')) == report

  # In another process, which knows only what its command line says.
  done = evaluate(home, f'--bundle={folder}', f'--own={TINY}')
  assert done.returncode == 0, done.stderr
  assert done.stdout.count('as in the card') == 6

  # As the next run's teacher it takes the flag too.
  config.teacher.bundle = str(folder)
  config.student = config.teacher.model = 'resnet8*0.25'
  with pytest.raises(UserError, match='imported only if you name it yourself'):
    job.main(config, str(home / 'next'))
  config.student = config.teacher.model = TINY
  assert f'pidkd {TINY}' in job.main(config, str(home / 'next'))


def test_a_description_never_imports(home, monkeypatch):
  (home / 'trap.py').write_text('raise SystemExit("imported")')
  described = {'family': 'trap:Trap', 'num_classes': 2}
  with pytest.raises(UserError, match='trap:Trap'):
    models.build(described)
  with pytest.raises(UserError, match='trap:Trap'):
    models.build({'family': TINY, 'student': described}, models.families(TINY))
  assert 'trap' not in sys.modules


def test_a_family_of_the_same_name_as_ours_is_another(home):
  (home / 'namesake.py').write_text(TEXT.replace('Tiny', 'ResNet'))
  model = models.create('namesake:ResNet', num_classes=2)
  described = json.loads(json.dumps(models.describe(model)))
  assert described['family'] == 'namesake:ResNet'
  assert models.build(described, models.families(model)) == model


def test_a_function_that_makes_one_will_do():
  model = models.create('my_package.my_models:wide', num_classes=5)
  assert (type(model).__name__, model.width, model.num_classes) == ('Tiny', 16, 5)
  # The factor of a widened network is no part of the class's name.
  assert models.families('my_package.my_models:wide', f'{TINY}*0.5') == {type(model)}
  variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  assert variables['params']['linear']['kernel'].shape == (24, 5)


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('my_package.my_models:Tinny', "unknown model of 'my_package.my_models' 'Tinny'; did you mean"),
    ('my_package.no_models:Tiny', "there is no module 'my_package.no_models'; start in the folder"),
    ('nowhere:Tiny', "there is no module 'nowhere'"),
    (':Tiny', 'package.module:Class'),
    ('my_package.my_models:', 'package.module:Class'),
    ('my_package.my_models:number', 'is a int; a class or a function is needed'),
    ('my_package.my_models:something', 'makes a str; a model is a subclass of'),
    ('my_package.my_models:Bare', 'lacks stages, which a model must define'),
    ('my_package.my_models:Unclassified', 'lacks classify, which a model must define'),
    ('my_package.my_models:fixed', 'num_classes=1000 where it is given 2; pass on the number'),
    ('my_package.my_models:Required', 'give its other fields defaults'),
    ('my_package/my_models.py:Tiny', 'package.module:Class'),
    ('my_package.my_models:main.<locals>.Tiny', 'define it at the top level of its module'),
    ('my_package.my_models:Group.Tiny*2', 'define it at the top level of its module'),
  ],
)
def test_a_name_that_leads_nowhere_is_one_line(name, message):
  with pytest.raises(UserError, match=message) as error:
    models.create(name, num_classes=2)
  assert '\n' not in str(error.value)


def test_a_class_within_a_function_is_one_line():
  class Local(models.Model):
    pass

  with pytest.raises(UserError, match=r'<locals>.Local.*; define it at the top level of its mod'):
    kd.train(Local, kd.data.load('digits'), epochs=1)


@pytest.mark.parametrize(('name', 'field'), [('Callback', 'activation'), ('Noisy', 'bound')])
def test_what_a_bundle_cannot_hold_is_said_before_the_training(config, home, name, field):
  config.student = f'my_package.my_models:{name}'
  with pytest.raises(UserError, match=f'{field} of my_package.my_models:{name} is .* cannot'):
    job.main(config, str(home / 'unsaved'))
  assert not (home / 'unsaved').exists()


def test_a_teacher_that_a_bundle_cannot_hold_is_refused_before_it_trains(config, home):
  # Its student has no part of the head.
  config.teacher.model = 'my_package.my_models:Half'
  with pytest.raises(UserError, match='half/.* of Half is bfloat16, which a bundle cannot hold'):
    job.main(config, str(home / 'untaught'))
  assert not (home / 'untaught').exists()
  assert not list(home.glob('teachers/*Half*'))


def test_dropout_draws_anew_and_a_changed_class_is_another_run(config, home, monkeypatch):
  config.student = config.teacher.model = 'my_package.my_models:noisy'
  job.main(config, str(home / 'noisy'))
  [kept] = (home / 'teachers').glob('*noisy*')
  # The same name, another network: neither the workdir nor the kept teacher is taken for it.
  module = sys.modules['my_package.my_models']
  monkeypatch.setattr(module, 'noisy', functools.partial(module.Noisy, bound=2.0))
  with pytest.raises(UserError, match='bound = 1.0 and not 2.0; give another'):
    job.main(config, str(home / 'noisy'))
  job.main(config, str(home / 'other'))
  assert len(set((home / 'teachers').glob('*noisy*')) - {kept}) == 1
