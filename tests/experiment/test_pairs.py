"""Every pair builds, as shapes, and stays smaller than its teacher."""

import functools
import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch, DatasetSpec
from pidkd_jax.evaluation.cost import parameters
from pidkd_jax.experiment import config, pairs
from pidkd_jax.models.network import Network, TeacherOutputs
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from tests.given import Given

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = {'cifar100': (pairs.CIFAR100, 32, 100), 'tiny_imagenet': (pairs.TINY_IMAGENET, 64, 200)}
ALL = [(data, name) for data, (table, _, _) in TABLES.items() for name in table]


# One for each size of images.
STEPPED = [
  ('cifar100', 'resnet14x2-resnet8'),
  ('tiny_imagenet', 'resnet32x4-resnet8x4'),
]


def images_of(data, count=1):
  _, size, _ = TABLES[data]
  return jax.ShapeDtypeStruct((count, size, size, 3), jnp.float32)


@functools.cache
def teacher_of(name, data):
  """Return a teacher and its features, as shapes."""

  def run(model, image):
    features = model.encode(image)
    model.classify(features.pooled)
    return features

  model = models.create(name, num_classes=TABLES[data][2])
  features, variables = jax.eval_shape(
    functools.partial(model.init_with_output, method=run), jax.random.key(0), images_of(data)
  )
  return Network(variables, model), features


@functools.cache
def student_of(name, data):
  """Return the map that a student distils and the parameters behind it, as shapes."""
  model = models.create(name, num_classes=TABLES[data][2])
  init = functools.partial(model.init_with_output, method='stages')
  maps, variables = jax.eval_shape(init, jax.random.key(0), images_of(data))
  return maps[-1], variables['params']


def deployed(data, name, factor=None):
  """Return the number of parameters that a pair deploys: encoder, projectors, classifier."""
  pair = TABLES[data][0][name]
  last, encoder = student_of(pair.student, data)
  teacher, target = teacher_of(pair.teacher, data)
  method = methods.create(
    'pidkd', num_projectors=pair.num_projectors, factor=factor or pair.factor
  )(student=Given(), target=target, dataset=None)
  index = jax.ShapeDtypeStruct((1,), jnp.int32)
  init = functools.partial(method.init, progress=jnp.float32(1), method='loss')
  projectors = jax.eval_shape(
    init, jax.random.key(0), Batch(last, index, index), TeacherOutputs(None, target, None)
  )
  return sum(
    map(parameters, (encoder, projectors['params'], teacher.variables['params']['classifier']))
  )


@pytest.mark.parametrize(('data', 'name'), STEPPED)
def test_a_pair_takes_a_step(data, name):
  table, size, num_classes = TABLES[data]
  pair = table[name]
  spec = DatasetSpec(
    name=data,
    format=data,
    archive='',
    source='made up',
    class_names=tuple(map(str, range(num_classes))),
    labels=np.zeros(2, np.int32),
    image_shape=(size, size, 3),
    normalisation=Normalisation((0.5,) * 3, (0.5,) * 3),
    padding=4,
    flip=True,
    fingerprint='',
  )
  image = images_of(data, 2)
  optimizer = OptimizerHparams(pair.learning_rate, 5e-4)
  cohort = cohorts.assemble(
    [Member('pidkd', pair.student, 'pidkd', pair.size, optimizer, 0)],
    teacher=teacher_of(pair.teacher, data)[0],
    dataset=spec,
    image=image,
    optimizer=Optimizer(3, (6,), 0.1, 0.9),
    key=jax.random.key(0),
  )
  index = jax.ShapeDtypeStruct((2,), jnp.int32)
  batch = Batch(image, index, index)
  states = jax.eval_shape(Cohort.init, cohort, batch)
  after = jax.eval_shape(Cohort.step, cohort, states, batch, jax.ShapeDtypeStruct((), jnp.int32))
  assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), states) == jax.tree.map(
    lambda leaf: (leaf.shape, leaf.dtype), after
  )
  network = cohort.network('pidkd-0', states['pidkd-0'].variables)
  assert parameters(network.variables['params']) == deployed(data, name)


@pytest.mark.parametrize(('data', 'name'), ALL)
def test_a_deployed_student_is_smaller_than_its_teacher(data, name):
  pair = TABLES[data][0][name]
  budget = parameters(teacher_of(pair.teacher, data)[0].variables['params'])
  assert deployed(data, name) < budget
  if not pair.study:
    # No smaller factor of at least 2 would do.
    assert pair.factor == 2 or deployed(data, name, pair.factor // 2) >= budget


def test_a_size_with_a_study_is_the_size_that_its_report_chose():
  chosen = [table[name] for data, name in ALL for table in [TABLES[data][0]] if table[name].study]
  assert chosen
  for pair in chosen:
    report = (ROOT / pair.study.split()[-1]).read_text()
    assert f'{pair.student} taught by {pair.teacher}' in report
    assert f'best: **q = {pair.num_projectors}, f = {pair.factor}**' in report


def test_the_sizes_of_the_reference():
  """Millions of parameters: encoder, three projectors, the teacher's classifier."""
  for name, expected in {
    'resnet32x4-resnet8x4': 1.876,
    'resnet32x4-vgg8': 4.680,
    'resnet32x4-ShuffleV2_1_5': 2.595,
    'resnet38x2-resnet38': 0.725,
    'vgg13-MobileNetV2': 2.820,
    'vgg13-vgg8': 6.527,
  }.items():
    assert deployed('cifar100', name) / 1e6 == pytest.approx(expected, abs=5e-4)
  millions = deployed('cifar100', 'ResNet50-MobileNetV2', 2) / 1e6
  assert millions == pytest.approx(35.8, abs=0.05)


def test_students_have_larger_equal_and_smaller_maps_than_teachers():
  sides = []
  for data, name in ALL:
    pair = TABLES[data][0][name]
    last, target = student_of(pair.student, data)[0], teacher_of(pair.teacher, data)[1].target
    sides.append((last.shape[1], target.shape[1]))
  assert {(s > t) - (s < t) for s, t in sides} == {-1, 0, 1}
  assert any(max(pair) % min(pair) for pair in sides)


@pytest.mark.parametrize(('data', 'name'), ALL)
def test_mobile_and_shuffle_students_train_at_a_fifth_of_the_rate(data, name):
  pair = TABLES[data][0][name]
  assert pair.learning_rate == (0.01 if pair.student.startswith(('Mobile', 'Shuffle')) else 0.05)


# --- pairs by name, in a configuration


def test_a_pair_is_taken_by_name():
  c = config.default('ResNet50-MobileNetV2:pidkd,simkd,kd_1_1,pefd', pairs.CIFAR100)
  assert (c.student, c.teacher.model) == ('MobileNetV2', 'ResNet50')
  assert (c.learning_rate, c.teacher.learning_rate) == (0.01, 0.05)
  assert (c.method.name, c.method.num_projectors, c.method.factor) == ('pidkd', 3, 4)
  # SimKD has one projector of its own size, and PEFD's projectors are of another kind.
  assert set(c.compare) == {'simkd', 'kd_1_1', 'pefd'} and c.compare.simkd.factor == 2
  assert c.compare.pefd.to_dict() == methods.defaults('pefd')


@pytest.mark.parametrize('name', ['cifar100', 'tiny_imagenet', 'digits', 'demo', 'image_folder'])
@pytest.mark.parametrize(
  ('arg', 'student', 'methods'),
  [
    ('', None, None),
    ('kd_1_1', None, ['kd_1_1']),
    (':kd_1_1', None, ['kd_1_1']),
    ('kd_1_1,scratch', None, ['kd_1_1', 'scratch']),
    ('vgg13-vgg8', 'vgg8', None),
    ('vgg13-vgg8:kd_1_1', 'vgg8', ['kd_1_1']),
  ],
)
def test_pair_and_methods_may_each_be_left_out_of_every_config(name, arg, student, methods):
  module = runpy.run_path(str(ROOT / 'configs' / f'{name}.py'))
  c, usual = module['get_config'](arg), module['get_config']()
  assert c.student == (student or usual.student)
  assert c.teacher.model == ('vgg13' if student else usual.teacher.model)
  methods = methods or [usual.method.name, *usual.compare]
  assert [c.method.name, *c.compare] == methods


def test_any_two_networks_make_a_pair():
  c = config.default('resnet20-ShuffleV1:pidkd', pairs.CIFAR100)
  assert (c.teacher.model, c.student, c.learning_rate) == ('resnet20', 'ShuffleV1', 0.01)
  assert (c.method.num_projectors, c.method.factor) == (3, 2)
  study = config.study('resnet14*0.5-resnet8*0.5', pairs.CIFAR100)
  assert (study.teacher.model, study.student) == ('resnet14*0.5', 'resnet8*0.5')
  assert study.learning_rate == 0.05


def test_a_config_that_sets_its_own_networks_takes_no_pair():
  with pytest.raises(UserError, match="'vgg13-vgg8': this config takes no pair; give --config"):
    config.default('vgg13-vgg8:pidkd')
  module = runpy.run_path(str(ROOT / 'configs' / 'condense.py'))
  assert module['get_config']().rows
  with pytest.raises(UserError, match="'pidkd': this config takes neither pair nor methods"):
    module['get_config']('pidkd')


@pytest.mark.parametrize(
  ('arg', 'message'),
  [
    ('vgg13-vgg8x', "unknown model in the pair 'vgg13-vgg8x': 'vgg8x'; did you mean 'vgg8'"),
    ('vgg13-', "unknown model in the pair 'vgg13-': ''"),
    ('vgg13-vgg8-vgg8', "'vgg13-vgg8-vgg8' is no pair; write TEACHER-STUDENT, e.g. resnet32x4"),
    ('vgg13-vgg8:pidk', "unknown method 'pidk'; did you mean 'pidkd'"),
    ('vgg13-vgg8:kd_1_1:pidkd', "method 'kd_1_1:pidkd': there is no module 'kd_1_1'"),
  ],
)
def test_a_misspelt_argument_says_what_is_nearest(arg, message):
  with pytest.raises(UserError, match=message):
    config.default(arg, pairs.CIFAR100)
