"""timm's convolutional networks: parameters, entries, maps and logits.

Most tests run on toys of one block a row, as compiling the published depths takes long.
"""

import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import methods, models
from pidkd_jax.bundles import torch_import, torch_likeness, torch_names
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.efficientnet import EfficientNet, EfficientNetLite
from pidkd_jax.models.imagenet_resnet import PhotographResNet
from pidkd_jax.models.inverted_residual import divisible
from pidkd_jax.models.mobilenetv3 import MobileNetV3Large, MobileNetV3Small
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn import convolution, initializers
from pidkd_jax.training.step import observe
from tests import timm_oracle

# Parameters at 1000 classes, as timm's table of results has them, in millions.
MILLIONS = {
  'resnet18_imagenet': 11.69,
  'resnet34_imagenet': 21.80,
  'resnet50_imagenet': 25.56,
  'resnet101_imagenet': 44.55,
  'resnet152_imagenet': 60.19,
  'mobilenetv3_small_050': 1.59,
  'mobilenetv3_small_075': 2.04,
  'mobilenetv3_small_100': 2.54,
  'mobilenetv3_large_100': 5.48,
  'tf_mobilenetv3_small_075': 2.04,
  'tf_mobilenetv3_small_100': 2.54,
  'tf_mobilenetv3_large_075': 3.99,
  'tf_mobilenetv3_large_100': 5.48,
  'efficientnet_b0': 5.29,
  'efficientnet_b1': 7.79,
  'efficientnet_b2': 9.11,
  'efficientnet_b3': 12.23,
  'efficientnet_b4': 19.34,
  'efficientnet_b5': 30.39,
  'tf_efficientnet_b0': 5.29,
  'tf_efficientnet_b1': 7.79,
  'tf_efficientnet_b2': 9.11,
  'tf_efficientnet_b3': 12.23,
  'tf_efficientnet_b4': 19.34,
  'tf_efficientnet_b5': 30.39,
  'tf_efficientnet_b6': 43.04,
  'tf_efficientnet_b7': 66.35,
  'efficientnet_lite0': 4.65,
  'tf_efficientnet_lite0': 4.65,
  'tf_efficientnet_lite1': 5.42,
  'tf_efficientnet_lite2': 6.09,
  'tf_efficientnet_lite3': 8.20,
  'tf_efficientnet_lite4': 13.01,
}
TOYS = {
  'resnet': PhotographResNet(5, blocks_per_stage=(1, 1, 1, 1), bottleneck=False),
  'mobilenet': MobileNetV3Small(5, width=0.25, tensorflow=True),
  'efficientnet': EfficientNet(5, width=0.25, blocks_per_stage=(1,) * 7, tensorflow=True),
  'lite': EfficientNetLite(5, width=0.25, blocks_per_stage=(1,) * 7),
}


def family(name):
  return type(models.create(name, num_classes=1)).__name__


def shapes(model, size=32):
  image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), image)


def test_the_table_has_every_network():
  ours = {type(model).__name__ for model in TOYS.values()} | {MobileNetV3Large.__name__}
  assert MILLIONS.keys() == {name for name in models.names() if family(name) in ours}


# Of two networks that differ in TensorFlow's padding and epsilon alone, one is traced.
TWINS = {name: f'tf_{name}' for name in MILLIONS if f'tf_{name}' in MILLIONS}


@pytest.mark.parametrize('name', TWINS)
def test_twins_differ_in_tensorflows_ways_alone(name):
  one, other = (models.create(each, num_classes=9) for each in (name, TWINS[name]))
  assert one.clone(tensorflow=True) == other
  assert MILLIONS[name] == MILLIONS[TWINS[name]]


@pytest.mark.parametrize('name', [name for name in MILLIONS if name not in TWINS.values()])
def test_has_the_parameters_and_entries_of_timm(name):
  _, variables = torch_likeness.expected(name, 1000)
  count = sum(leaf.size for (group, *_), leaf in variables.items() if group == 'params')
  assert round(count / 1e6, 2) == MILLIONS[name]
  ours = {
    torch_names.key(family(name), path): torch_likeness._to_torch(leaf.shape)
    for path, leaf in variables.items()
  }
  theirs = timm_oracle.shapes(name.removesuffix('_imagenet'), num_classes=1000)
  assert {key: torch_likeness._essential(shape) for key, shape in ours.items()} == {
    key: torch_likeness._essential(shape) for key, shape in theirs.items()
  }


@jax.jit
def run(network, image):
  features = network.encode(image)
  return features, network.classify(features.pooled)


# timm has another first map, and MobileNetV3's last has the last convolution behind it.
@pytest.mark.parametrize(
  'name, stages',
  [
    ('resnet18_imagenet', range(5)),
    ('mobilenetv3_small_050', range(1, 4)),
    ('tf_mobilenetv3_large_075', range(1, 4)),
    ('tf_efficientnet_b0', range(1, 5)),
    ('efficientnet_lite0', range(1, 5)),
  ],
)
def test_has_the_maps_and_logits_of_timm(name, stages):
  theirs, state = timm_oracle.random(name.removesuffix('_imagenet'))
  torch = pytest.importorskip('torch')
  # Large enough for ReLU6 to clip.
  images = 3 * np.random.default_rng(1).normal(size=(2, 3, 64, 64)).astype(np.float32)
  with torch.no_grad():
    target, maps = theirs.forward_intermediates(torch.from_numpy(images))
    logits = theirs(torch.from_numpy(images)).numpy()
  with convolution.plain():  # It compiles faster.
    features, classified = run(torch_import.network(state, name), images.transpose(0, 2, 3, 1))
  pairs = {'logits': (classified, logits), 'target': (features.target, nhwc(target))}
  pairs |= {f'stage {i}': (features.stages[i], nhwc(maps[i])) for i in stages}
  for place, (found, wanted) in pairs.items():
    assert found.shape == wanted.shape, place
    assert np.max(np.abs(found - wanted)) < 1e-5 * np.max(np.abs(wanted)), place


def nhwc(x):
  return x.numpy().transpose(0, 2, 3, 1)


@pytest.mark.parametrize('toy', TOYS)
def test_runs_at_any_size_and_halves_it_at_each_stage(toy):
  network = Network(shapes(TOYS[toy]), TOYS[toy])
  for size in (8, 33, 224):
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    features = jax.eval_shape(Network.encode, network, image)
    sides = [size]
    for _ in features.stages:
      sides.append(-(-sides[-1] // 2))
    assert [each.shape[1] for each in features.stages] == sides[1:]
    assert features.target.shape[1] == sides[-1]


@pytest.mark.parametrize('toy', TOYS)
def test_described_as_json_it_is_built_again(toy):
  assert models.build(json.loads(json.dumps(models.describe(TOYS[toy])))) == TOYS[toy]


@pytest.mark.parametrize('toy', TOYS)
def test_every_product_is_of_the_type_of_the_images(toy):
  model = TOYS[toy]
  image = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.bfloat16)
  encode = functools.partial(model.apply, train=True, method='encode', mutable=['batch_stats'])
  features, statistics = jax.eval_shape(encode, shapes(model), image)
  maps = jax.tree.leaves((features.stages, features.target))
  assert {leaf.dtype for leaf in maps} == {jnp.dtype(jnp.bfloat16)}
  assert {leaf.dtype for leaf in jax.tree.leaves(statistics)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize('toy', ['mobilenet', 'lite'])
def test_fused_norms_keep_the_outputs(toy, fill):
  """With TensorFlow's epsilon, too, also where a distilled network holds the parts."""
  model = TOYS[toy]
  distilled = Distilled(
    num_classes=5,
    student=model,
    teacher=TOYS['lite'],
    num_projectors=1,
    hidden=4,
    integration='mean',
    target=(1, 1, 1280),
    target_rectified=True,
  )
  flat = traverse_util.flatten_dict(fill(shapes(distilled)))
  # Variances as small as TensorFlow's epsilon, so that another epsilon shows.
  small = {'var': 1e-3, 'scale': 0.03}
  flat = {path: small.get(path[-1], 1) * leaf for path, leaf in flat.items()}
  variables = traverse_util.unflatten_dict(flat)
  plain = Network(variables, distilled)
  image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
  (features, logits), (fused, classified) = (
    run(each, image) for each in (plain, fuse_norms(plain, image.shape[1:]))
  )
  np.testing.assert_allclose(
    fused.target, features.target, rtol=1e-3, atol=1e-4 * np.max(features.target)
  )
  np.testing.assert_allclose(classified, logits, rtol=1e-3, atol=1e-4 * np.abs(logits).max())


@pytest.mark.parametrize('teacher, student', [*itertools.pairwise([*TOYS, 'resnet'])])
def test_they_teach_each_other_through_projectors(teacher, student, dataset):
  """By shapes; the projectors end in a ReLU where the teacher's target does."""
  network = Network(shapes(TOYS[teacher]), TOYS[teacher])
  image = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
  batch = Batch(image, *(jax.ShapeDtypeStruct((2,), jnp.int32) for _ in range(2)))
  outputs = jax.eval_shape(observe, network, batch)
  method = methods.create('pidkd', num_projectors=2)(
    student=TOYS[student], target=outputs.features, dataset=dataset
  )
  init = functools.partial(method.init_with_output, method='loss')
  keys = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  _, variables = jax.eval_shape(init, keys, batch, outputs, progress=jnp.float32(1))
  [expand] = {
    leaf.shape[-1]
    for path, leaf in traverse_util.flatten_dict(variables['params']).items()
    if path[-3:] == ('expand', 'conv', 'kernel') and 'projectors' in path
  }
  assert expand == outputs.features.target.shape[-1]
  assert outputs.features.rectified == (teacher in ('resnet', 'lite'))
  assert not {'classifier', 'last'} & variables['params']['student'].keys()


def test_channels_are_rounded_to_multiples_of_eight_and_never_far_down():
  assert [divisible(x) for x in (1, 11, 12, 16 * 1.1, 19.9, 23, 32 * 1.2, 1280 * 1.1)] == [
    8, 16, 16, 16, 24, 24, 40, 1408,
  ]  # fmt: skip


def test_initial_depthwise_kernels_count_the_outputs_of_one_group():
  """So their products with a map are as large as the map, whatever its channels."""
  kernel = initializers.normal_of_groups(640)(jax.random.key(0), (5, 5, 1, 640))
  assert abs(np.std(kernel) / np.sqrt(2 / 25) - 1) < 0.02


def state_dict(name):
  """Return a state dict of `name` for 5 classes, of zeros."""
  _, variables = torch_likeness.expected(name, 5)
  return {
    torch_names.key(family(name), path): np.zeros(torch_likeness._to_torch(leaf.shape), np.float32)
    for path, leaf in variables.items()
  }


@pytest.mark.parametrize(
  'name, wanted, names',
  [
    ('resnet18_imagenet', 'resnet8', "'resnet18_imagenet'"),
    ('resnet50_imagenet', 'vgg8', "'resnet50_imagenet'"),
    (
      'mobilenetv3_small_100',
      'efficientnet_b0',
      "'mobilenetv3_small_100' or 'tf_mobilenetv3_small",
    ),
    ('efficientnet_b1', 'efficientnet_b0', "'efficientnet_b1' or 'tf_efficientnet_b1'"),
  ],
)
def test_a_checkpoint_of_another_network_is_given_its_name(name, wanted, names):
  state = state_dict(name)
  with pytest.raises(UserError) as error:
    torch_import.network(state, wanted)
  assert names in str(error.value) and 'import it by' in str(error.value)
  assert names.replace("'", '') in torch_likeness.suggestion(state)
