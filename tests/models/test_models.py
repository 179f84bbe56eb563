"""Every network of `models.names()`, mostly by shapes alone."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.core.errors import UserError
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.models.wrn import WRN
from pidkd_jax.nn import resize
from tests import families
from tests.families import IN_TOYS, SMALL

# Parameters and multiply-adds at 100 classes and 32x32, as the community's networks have them;
# of the one for Tiny-ImageNet at 200 classes and 64x64.
COSTS = {
  'resnet110': (1736564, 253155584),
  'resnet110x2': (6911220, 1007088128),
  'resnet116': (1833780, 267311360),
  'resnet14': (181108, 26663168),
  'resnet14x2': (703732, 101118464),
  'resnet14x4': (2783620, 403563520),
  'resnet20': (278324, 40818944),
  'resnet32': (472756, 69130496),
  'resnet32x4': (7433860, 1083040768),
  'resnet38': (569972, 83286272),
  'resnet38x2': (2255604, 327610880),
  'resnet38x4': (8983940, 1309533184),
  'resnet44': (667188, 97442048),
  'resnet56': (861620, 125753600),
  'resnet8': (83892, 12507392),
  'resnet8x4': (1233540, 177071104),
  'ResNet18': (11220132, 555468800),
  'ResNet50': (23705252, 1298014208),
  'wrn_16_1': (180916, 26663168),
  'wrn_16_2': (703284, 101118464),
  'wrn_40_1': (569780, 83286272),
  'wrn_40_2': (2255156, 327610880),
  'vgg11': (9277284, 209438720),
  'vgg13': (9462180, 284936192),
  'vgg16': (14774436, 398182400),
  'vgg19': (20086692, 511428608),
  'vgg8': (3965028, 96192512),
  'MobileNetV2': (812836, 6523648),
  'MobileNetV2_1_0': (2353060, 22381056),
  'MobileNetV2_TinyImageNet': (2497480, 215708992),
  'ShuffleV1': (949258, 38691456),
  'ShuffleV2': (1355528, 44504448),
  'ShuffleV2_1_5': (2580548, 93762048),
  'vit_tiny_patch4_32': (5380132, 365124864),
}
# The same at 1000 classes and 224x224, as timm's networks have them.
PHOTOGRAPHS = {
  'convnext_atto': (3695520, 547332480),
  'convnext_femto': (5217784, 779629824),
  'convnext_pico': (9045672, 1367055360),
  'convnext_nano': (15593560, 2445528320),
  'convnext_tiny': (28589128, 4455531264),
  'convnext_small': (50223688, 8683712256),
  'convnext_base': (88591464, 15354729472),
  'vit_tiny_patch16_224': (5717416, 1253683200),
  'vit_small_patch16_224': (22050664, 4598882304),
  'vit_base_patch16_224': (86567656, 17563828224),
}
DEIT = {f'deit_{size}_patch16_224': f'vit_{size}_patch16_224' for size in ('tiny', 'small', 'base')}
# Of no other library.
OWN = ('vit_tiny_patch4_32',)
LITERATURE = [name for name in COSTS if name not in OWN]
TINY = 'MobileNetV2_TinyImageNet'
# What a family has beyond its stages and its classifier.
HEADS = {
  'WRN': {'norm'},
  'MobileNetV2': {'last'},
  'MobileNetV2TinyImageNet': {'last'},
  'ShuffleNetV2': {'last'},
  'ViT': {'norm'},
}
# Families of which each map is the ReLU of what stood before it.
RECTIFIED = ('ResNet', 'ImageNetResNet', 'VGG', 'ShuffleNetV1', 'ShuffleNetV2')


# Families whose maps are all raw sums, so that a map equals what stood before it.
RAW = ('ConvNeXt', 'ViT')


def setting(name):
  """(number of classes, side of the image) that a network is published for."""
  if name in PHOTOGRAPHS:
    return 1000, 224
  return (200, 64) if name == TINY else (100, 32)


def image(size, batch=1):
  return jax.ShapeDtypeStruct((batch, size, size, 3), jnp.float32)


def as_teacher(model, image):
  features = model.encode(image)
  return features, model.classify(features.pooled)


def as_student(model, image):
  return model.distillation_map(model.stages(image)[-1])


def stages(model, image):
  return model.stages(image)


def encode(model, image):
  return model.encode(image)


@functools.cache
def traced(model, size, method=as_teacher):
  """What a method makes of two images and the variables that it needs, as shapes."""
  init = functools.partial(model.init_with_output, method=method)
  return jax.eval_shape(init, jax.random.key(0), image(size, 2))


def shapes(model, size=32, method=as_teacher):
  return traced(model, size, method)[1]


def features_and_logits(network, images):
  """The features, and the logits in two ways."""
  features = network.encode(images)
  logits = network.model.apply(network.variables, images)
  return features, network.classify(features.pooled), logits


# All in one compilation, which every test of a network shares.
run = jax.jit(features_and_logits)


def encoded(network, images):
  return run(network, images)[0]


def modules(variables):
  return set(variables['params'])


def flat(variables):
  return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables, sep='/').items()}


def sides(maps):
  return [m.shape[1:3] for m in maps]


def test_there_is_a_small_network_of_every_family():
  found = {families.family(name) for name in models.names()}
  assert SMALL.keys() | set(IN_TOYS) == found
  assert {families.family(name): name for name in SMALL.values()} == SMALL


def test_the_table_of_costs_has_every_network():
  assert COSTS.keys() | PHOTOGRAPHS.keys() | DEIT.keys() == {
    name for name in models.names() if families.family(name) not in IN_TOYS
  }


@pytest.mark.parametrize('name', DEIT)
def test_deit_is_vit_trained_in_another_way(name):
  assert models.create(name, num_classes=9) == models.create(DEIT[name], num_classes=9)


@pytest.mark.parametrize('name', [*COSTS, *PHOTOGRAPHS])
def test_costs_what_the_literature_says(name):
  num_classes, size = setting(name)
  model = models.create(name, num_classes=num_classes)
  found = cost(Network(shapes(model, size), model), (size, size, 3))
  assert (found.parameters, found.multiply_adds) == (COSTS | PHOTOGRAPHS)[name]


@pytest.mark.parametrize('name', LITERATURE)
def test_the_tables_here_are_the_references(name, reference):
  entry = json.loads((reference / 'models.json').read_text())[name]
  assert setting(name) == (entry['num_classes'], entry['image_size'])
  assert COSTS[name] == (entry['params'], entry['macs'])


@pytest.mark.parametrize('name', LITERATURE)
def test_has_the_feature_maps_of_the_reference(name, reference):
  entry = json.loads((reference / 'models.json').read_text())[name]
  model = models.create(name, num_classes=entry['num_classes'])
  features, _ = traced(model, entry['image_size'])[0]
  maps = [*features.stages, features.pooled]
  expected = entry['features']
  if name == TINY:
    # mdistiller lists the map after the last 1x1 convolution, which is the head here, in place of
    # the last stage's, and the mean of it with two axes of one.
    assert features.stages[-1].shape[1:] == (9, 9, 320)
    maps = [*features.stages[:-1], features.target, features.pooled]
    assert expected[-1] == [1280, 1, 1]
    expected = [*expected[:-1], [1280]]
  assert [[m.shape[-1], *m.shape[1:-1]] for m in maps] == expected


@pytest.mark.parametrize('name', SMALL.values())
def test_teaches_and_studies_at_any_image_size(name):
  model = models.create(name, num_classes=100)
  family = type(model).__name__
  whole = flat(shapes(model))
  for size in (16, 33, 64):
    (features, logits), variables = traced(model, size)
    assert logits.shape == (2, 100) and logits.dtype == jnp.float32
    assert features.pooled.shape == (2, features.target.shape[-1])
    assert [m.shape for m in features.preactivations] == [m.shape for m in features.stages]
    assert all(m.shape[0] == 2 and min(m.shape) > 0 for m in features.stages)
    found, used = traced(model, size, as_student)
    assert found.shape == features.stages[-1].shape
    # The size changes maps and no parameters, and the student's are the teacher's.
    assert flat(variables) == whole
    assert flat(used).items() <= whole.items()
    unused = {'classifier'} | (HEADS.get(family, set()) & {'last'})
    assert modules(variables) - modules(used) == unused


@pytest.mark.parametrize('name', SMALL.values())
def test_the_number_of_classes_is_the_classifiers_alone(name):
  two, many = (flat(shapes(models.create(name, num_classes=k))) for k in (2, 100))
  differing = {path for path in two if two[path] != many[path]}
  assert two.keys() == many.keys() and len(differing) == 2
  assert all(path.startswith('params/classifier/') for path in differing)
  assert all(two[path][-1] == 2 and many[path][-1] == 100 for path in differing)


@pytest.mark.parametrize('name', [name for name in models.names() if name.startswith('vgg')])
def test_vgg_pools_once_more_from_64_on(name):
  model = models.create(name, num_classes=100)
  for size, expected in {
    32: [32, 16, 8, 4, 4],
    63: [63, 31, 15, 7, 7],
    64: [64, 32, 16, 8, 4],
  }.items():
    features, _ = traced(model, size)[0]
    assert sides(features.stages) == [(side, side) for side in expected]


def test_vgg_pools_by_the_shorter_side():
  model, image = models.create('vgg8', num_classes=4), jnp.zeros((1, 64, 12, 3))
  shapes = jax.eval_shape(model.init, jax.random.key(0), image)
  features = jax.eval_shape(Network.encode, Network(shapes, model), image)
  assert sides(features.stages)[-1] == (8, 1)


@pytest.mark.parametrize('family', SMALL)
def test_creates_only_what_the_called_method_needs(family):
  model = models.create(SMALL[family], num_classes=5)
  everything = modules(shapes(model))
  head = HEADS.get(family, set())
  assert head | {'classifier'} < everything
  assert modules(shapes(model, method=encode)) == everything - {'classifier'}
  assert modules(shapes(model, method=stages)) == everything - {'classifier'} - head
  channels = traced(model, 32)[0][0].pooled.shape[-1]
  pooled = jax.ShapeDtypeStruct((1, channels), jnp.float32)
  classify = functools.partial(model.init, method='classify')
  assert modules(jax.eval_shape(classify, jax.random.key(0), pooled)) == {'classifier'}


@pytest.mark.parametrize('family', SMALL)
def test_a_deployed_student_holds_neither_its_classifier_nor_its_last_convolution(family):
  student = models.create(SMALL[family], num_classes=5)
  teacher = models.create(SMALL['ShuffleNetV2'], num_classes=5)
  (features, _), whole = traced(teacher, 32)
  deployed = Distilled(
    num_classes=5,
    student=student,
    teacher=teacher,
    num_projectors=2,
    hidden=features.target.shape[-1] // 8,
    integration='mean',
    target=features.target.shape[1:],
    target_rectified=True,
  )
  (found, logits), variables = traced(deployed, 32)
  assert logits.shape == (2, 5)
  assert found.target.shape[1:3] == min(
    features.target.shape[1:3], traced(student, 32, as_student)[0].shape[1:3]
  )
  assert flat(variables['params']['student']) == flat(shapes(student, method=as_student)['params'])
  assert variables['params']['teacher'].keys() == {'classifier'}
  assert flat(variables['params']['teacher']['classifier']) == flat(whole['params']['classifier'])
  norms = {'student'} if 'batch_stats' in shapes(student) else set()
  assert variables['batch_stats'].keys() == norms | {'projectors'}


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
    hidden=64,
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
    with pytest.raises(UserError, match='unknown model family'):
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


@pytest.fixture(scope='module', params=SMALL)
def network(request, fill):
  """A network of few blocks, as its tests compile it."""
  with pytest.MonkeyPatch.context() as patch:
    families.shorten(patch)
    model = models.create(SMALL[request.param], num_classes=3)
    yield Network(fill(jax.eval_shape(model.init, jax.random.key(0), image(32))), model)


@pytest.fixture(scope='module')
def images():
  return jnp.asarray(np.random.default_rng(1).normal(size=(2, 16, 16, 3)), jnp.float32)


def activation(network, x):
  return np.clip(x, 0, 6 if family(network) == 'MobileNetV2TinyImageNet' else None)


def family(network):
  return type(network.model).__name__


def test_features_hang_together(network, images):
  features, classified, logits = run(network, images)
  np.testing.assert_allclose(
    features.pooled, np.mean(features.target, axis=(1, 2)), rtol=1e-5, atol=1e-6
  )
  assert features.rectified == network.model.rectified == bool(np.min(features.target) >= 0)
  if family(network) not in HEADS:
    np.testing.assert_array_equal(features.target, features.stages[-1])
  np.testing.assert_allclose(logits, classified, rtol=1e-4, atol=1e-5)
  if family(network) == 'ConvNeXt':
    return  # Its classifier begins with a norm.
  kernel, bias = (
    network.variables['params']['classifier']['linear'][k] for k in ('kernel', 'bias')
  )
  np.testing.assert_allclose(logits, features.pooled @ kernel + bias, rtol=1e-4, atol=1e-5)


NORM = [('batch_stats', 'mean'), ('batch_stats', 'var'), ('params', 'scale'), ('params', 'bias')]


def test_a_map_is_the_activation_of_what_stood_before_it(network, images):
  features = encoded(network, 10 * images)  # Large enough for ReLU6 to clip.
  assert all(np.min(before) < 0 for before in features.preactivations)
  for i, (after, before) in enumerate(zip(features.stages, features.preactivations, strict=True)):
    if family(network) in RECTIFIED or (i == 0 and family(network) not in ('WRN', *RAW)):
      # A program may compute a map twice, and round in another way.
      np.testing.assert_allclose(after, activation(network, before), rtol=1e-5, atol=1e-5)
    elif family(network) == 'WRN':  # A raw sum, which the next norm takes up.
      name = f'stage{i + 1}_block1/norm1' if i < 3 else 'norm'
      mean, var, scale, bias = (
        traverse_util.flatten_dict(network.variables, sep='/')[f'{group}/{name}/{leaf}']
        for group, leaf in NORM
      )
      expected = (after - mean) / np.sqrt(var + 1e-5) * scale + bias
      np.testing.assert_allclose(before, expected, rtol=1e-3, atol=1e-4)
    else:  # A linear bottleneck.
      np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
  if family(network) == 'MobileNetV2TinyImageNet':
    assert np.max(features.stages[0]) == 6 < np.max(features.preactivations[0])


def test_what_a_student_distils_from(network, images):
  """Pre-activation stages end in a raw sum: norm and ReLU come before the projector."""
  features = encoded(network, images)
  last = features.stages[-1]
  found = network.model.apply(network.variables, last, method='distillation_map')
  if family(network) == 'WRN':
    norm = {name: tree['norm'] for name, tree in network.variables.items()}
    scale = norm['params']['scale'] / np.sqrt(norm['batch_stats']['var'] + 1e-5)
    expected = (last - norm['batch_stats']['mean']) * scale + norm['params']['bias']
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, features.target, rtol=1e-5, atol=1e-6)
  elif family(network) == 'ViT':
    norm = network.variables['params']['norm']
    unit = nn.standardize(last, axis=-1, epsilon=1e-6)
    np.testing.assert_allclose(found, unit * norm['scale'] + norm['bias'], rtol=1e-4, atol=1e-5)
  else:
    np.testing.assert_array_equal(found, last)


def test_training_uses_and_updates_the_statistics_of_the_batch(network, images):
  if 'batch_stats' not in network.variables:
    pytest.skip('its norms have no statistics')
  run = jax.jit(functools.partial(network.model.apply, train=True, mutable=['batch_stats']))
  logits, changed = run(network.variables, images)
  before, after = (
    traverse_util.flatten_dict(jax.device_get(tree['batch_stats']))
    for tree in (network.variables, changed)
  )
  assert before.keys() == after.keys()
  assert all(not np.any(before[path] == after[path]) for path in before)
  other, _ = run(network.variables | {'batch_stats': changed['batch_stats']}, images)
  np.testing.assert_array_equal(logits, other)


def test_maps_of_9x9_and_of_8x8_meet_at_8x8():
  """A student and a teacher for Tiny-ImageNet, of which neither size divides the other."""

  def target(name):
    features, _ = traced(models.create(name, num_classes=3), 64)[0]
    return features.target

  odd, even = target(TINY), target('ShuffleV2')
  assert odd.shape == (2, 9, 9, 1280) and even.shape == (2, 8, 8, 1024)
  for pair in ((odd, even), (even, odd)):
    matched = jax.eval_shape(resize.match_resolution, *pair)
    assert [each.shape for each in matched] == [(2, 8, 8, each.shape[-1]) for each in pair]
