"""Every network of `models.names()`, mostly by shapes alone."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.distilled import Distilled
from pidkd_jax.errors import UserError
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.models.wrn import WRN
from pidkd_jax.types import Network

# Parameters and multiply-adds at 100 classes and 32x32, as the community's networks have them.
COSTS = {
  'resnet8': (83892, 12507392),
  'resnet14': (181108, 26663168),
  'resnet20': (278324, 40818944),
  'resnet32': (472756, 69130496),
  'resnet38': (569972, 83286272),
  'resnet44': (667188, 97442048),
  'resnet56': (861620, 125753600),
  'resnet110': (1736564, 253155584),
  'resnet116': (1833780, 267311360),
  'resnet14x2': (703732, 101118464),
  'resnet38x2': (2255604, 327610880),
  'resnet110x2': (6911220, 1007088128),
  'resnet8x4': (1233540, 177071104),
  'resnet14x4': (2783620, 403563520),
  'resnet32x4': (7433860, 1083040768),
  'resnet38x4': (8983940, 1309533184),
  'wrn_16_1': (180916, 26663168),
  'wrn_16_2': (703284, 101118464),
  'wrn_40_1': (569780, 83286272),
  'wrn_40_2': (2255156, 327610880),
}
# Deep networks take seconds to trace and repeat the blocks of these.
SHALLOW = [name for name in models.names() if COSTS.get(name, (0, 0))[0] < 3e5]


def image(size, batch=1):
  return jax.ShapeDtypeStruct((batch, size, size, 3), jnp.float32)


@functools.cache
def shapes(model, size=32, method=None):
  """The variables that initialisation creates for a method, as shapes."""
  return jax.eval_shape(
    functools.partial(model.init, method=method), jax.random.key(0), image(size)
  )


@functools.cache
def encoded(model, size):
  return jax.eval_shape(
    functools.partial(model.apply, method='encode'), shapes(model, size), image(size, batch=2)
  )


def modules(variables):
  return set(variables['params'])


@pytest.mark.parametrize('name', COSTS)
def test_costs_what_the_literature_says(name):
  model = models.create(name, num_classes=100)
  found = cost(Network(shapes(model), model), (32, 32, 3))
  assert (found.parameters, found.multiply_adds) == COSTS[name]


def test_the_table_of_costs_is_the_references(reference):
  entries = json.loads((reference / 'models.json').read_text())
  for name in models.names():
    entry = entries[name]
    assert (entry['num_classes'], entry['image_size']) == (100, 32)
    assert COSTS[name] == (entry['params'], entry['macs'])


@pytest.mark.parametrize('name', models.names())
def test_has_the_feature_maps_of_the_reference(name, reference):
  entry = json.loads((reference / 'models.json').read_text())[name]
  features = encoded(models.create(name, num_classes=100), 32)
  maps = [[c, h, w] for _, h, w, c in (stage.shape for stage in features.stages)]
  assert [*maps, [features.pooled.shape[1]]] == entry['features']


@pytest.mark.parametrize('name', SHALLOW)
@pytest.mark.parametrize('size, num_classes', [(16, 2), (64, 200)])
def test_takes_any_image_size_and_number_of_classes(name, size, num_classes):
  model = models.create(name, num_classes=num_classes)
  variables = shapes(model, size)
  logits = jax.eval_shape(model.apply, variables, image(size, batch=3))
  assert logits.shape == (3, num_classes) and logits.dtype == jnp.float32
  features = encoded(model, size)
  assert features.target.shape[-1:] == features.pooled.shape[-1:]
  assert [m.shape for m in features.preactivations] == [m.shape for m in features.stages]
  # The size changes maps and no parameters.
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes(model, 32))


@pytest.mark.parametrize('name', SHALLOW)
def test_creates_only_what_the_called_method_needs(name):
  model = models.create(name, num_classes=5)
  everything = modules(shapes(model))
  assert modules(shapes(model, method='encode')) == everything - {'classifier'}
  stages = modules(shapes(model, method='stages'))
  assert stages <= everything - {'classifier'}
  channels = encoded(model, 32).pooled.shape[-1]
  pooled = jax.ShapeDtypeStruct((1, channels), jnp.float32)
  classify = functools.partial(model.init, method='classify')
  assert modules(jax.eval_shape(classify, jax.random.key(0), pooled)) == {'classifier'}


def test_the_head_of_a_wide_resnet_is_not_part_of_its_stages():
  model = models.create('wrn_16_1', num_classes=5)
  assert modules(shapes(model)) - modules(shapes(model, method='stages')) == {'norm', 'classifier'}


@pytest.mark.parametrize('name', models.names())
def test_described_as_json_it_is_built_again(name):
  model = models.create(name, num_classes=7)
  assert models.build(json.loads(json.dumps(models.describe(model)))) == model


@pytest.mark.parametrize('student', [None, 'wrn_16_1'])
def test_a_distilled_network_too_is_built_again_even_as_a_student(student):
  distilled = Distilled(
    num_classes=7,
    student=models.create('resnet8', num_classes=7),
    teacher=models.create('wrn_40_2', num_classes=7),
    num_projectors=3,
    factor=2,
    integration='learned',
    target=(8, 8, 128),
    target_rectified=True,
  )
  if student:  # As the teacher of another.
    distilled = distilled.clone(student=models.create(student, num_classes=7), teacher=distilled)
  assert models.build(json.loads(json.dumps(models.describe(distilled)))) == distilled


def test_a_description_names_families_and_no_code():
  described = models.describe(models.create('resnet8', num_classes=7))
  for family in ('os.system', 'Model', 'pidkd_jax.models.resnet.ResNet', '', None):
    with pytest.raises(UserError, match='unknown network family'):
      models.build({**described, 'family': family})
  with pytest.raises(TypeError):
    models.build({**described, 'colour': 'red'})


def test_an_unknown_name_is_answered_with_the_nearest():
  with pytest.raises(UserError, match="unknown model 'resnet8x5'; did you mean 'resnet8x4'"):
    models.create('resnet8x5', num_classes=2)


@pytest.mark.parametrize(
  'model',
  [ResNet(num_classes=2, depth=9, widths=(1, 1, 1, 1)), WRN(num_classes=2, depth=14, factor=1)],
)
def test_a_depth_that_is_none_of_the_family_is_refused(model):
  with pytest.raises(ValueError, match=f'not {model.depth}'):
    shapes(model)


@pytest.fixture(scope='module', params=['resnet8', 'wrn_16_1'])
def network(request, fill):
  model = models.create(request.param, num_classes=3)
  return Network(fill(shapes(model, 8)), model)


@pytest.fixture(scope='module')
def images():
  return jnp.asarray(np.random.default_rng(1).normal(size=(2, 8, 8, 3)), jnp.float32)


def test_features_hang_together(network, images):
  model = network.model
  features = jax.jit(network.encode)(images)
  np.testing.assert_allclose(
    features.pooled, np.mean(features.target, axis=(1, 2)), rtol=1e-5, atol=1e-6
  )
  assert np.min(features.target) >= 0 and model.rectified and features.rectified
  if isinstance(model, ResNet):
    for stage, before in zip(features.stages, features.preactivations, strict=True):
      np.testing.assert_array_equal(stage, np.maximum(before, 0))
      assert np.min(before) < 0
    np.testing.assert_array_equal(features.target, features.stages[-1])
  else:
    assert all(np.min(stage) < 0 for stage in features.stages)
  np.testing.assert_allclose(
    jax.jit(model.apply)(network.variables, images),
    network.classify(features.pooled),
    rtol=1e-5,
    atol=1e-6,
  )


def test_a_student_distils_from_an_activated_map(network, images):
  """Pre-activation stages end in a raw sum: norm and ReLU come before the projector."""
  features = jax.jit(network.encode)(images)
  found = network.model.apply(network.variables, features.stages[-1], method='distillation_map')
  np.testing.assert_allclose(found, features.target, rtol=1e-5, atol=1e-6)
  assert np.min(found) >= 0


def test_training_uses_and_updates_the_statistics_of_the_batch(network, images):
  run = jax.jit(functools.partial(network.model.apply, train=True, mutable=['batch_stats']))
  logits, changed = run(network.variables, images)
  before = traverse_util.flatten_dict(network.variables['batch_stats'])
  after = traverse_util.flatten_dict(changed['batch_stats'])
  assert before.keys() == after.keys()
  assert all(not np.any(before[path] == after[path]) for path in before)
  other, _ = run(network.variables | {'batch_stats': changed['batch_stats']}, images)
  np.testing.assert_array_equal(logits, other)
