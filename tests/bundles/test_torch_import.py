"""PyTorch checkpoints: golden outputs, PyTorch's own networks, and two in plain numpy.

Without PyTorch, only the golden outputs and the networks in numpy are compared.
"""

import importlib
import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_import, torch_likeness, torch_names
from pidkd_jax.bundles.torch_import import Checkpoint
from pidkd_jax.core.errors import UserError
from pidkd_jax.models.network import Network
from tests import families
from tests.families import SMALL


def forward(network, image):
  features = network.encode(image)
  return network.classify(features.pooled), features


jitted = jax.jit(forward)


def run(name, network, image):
  # Op by op, equal layers share a program: cheap for deep stacks of blocks, dear for the others.
  return (forward if name.startswith(('resnet', 'wrn')) else jitted)(network, image)


# --- golden outputs


def test_golden_outputs_are_compared_wherever_there_are_any(reference):
  [mark] = test_agrees_with_the_golden_outputs.pytestmark
  recorded = json.loads((reference / 'golden.json').read_text())
  # A slow case is a parameter with a mark.
  assert {getattr(case, 'values', (case,))[0] for case in mark.args[1]} == recorded.keys()


@pytest.fixture(scope='module')
def golden(reference):
  """Return the module that builds the weights and the input of the golden outputs."""
  path = reference.parent / 'tools' / 'golden.py'
  spec = importlib.util.spec_from_file_location('golden', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def relative(actual, expected):
  expected = np.asarray(expected)
  return np.max(np.abs(np.asarray(actual) - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize(
  'name',
  [
    'resnet20',
    'resnet8x4',
    'resnet14x2',
    'ResNet18',
    'wrn_16_2',
    'vgg8',
    'MobileNetV2',
    'ShuffleV1',
    'ShuffleV2',
  ],
)
def test_agrees_with_the_golden_outputs(name, reference, golden):
  expected = json.loads((reference / 'golden.json').read_text())[name]
  keys = json.loads((reference / 'state_dicts.json').read_text())[name]
  variables = torch_import.convert(golden.state_dict(keys), name)
  network = Network(variables, models.create(name, num_classes=100))
  logits, features = run(name, network, golden.image().transpose(0, 2, 3, 1))
  error = relative(logits, expected['logits'])
  print(f'golden {name}: {error:.1e} of the largest logit')
  assert error < 1e-4
  maps = [*features.stages, features.pooled]
  for actual, wanted in zip(maps, expected['features'], strict=True):
    shape = (*actual.shape[:1], actual.shape[-1], *actual.shape[1:-1])
    assert list(shape) == wanted['shape']
    # A mean may be near 0, so the error is measured by the map's deviation.
    assert abs(np.mean(actual) - wanted['mean']) < 1e-4 * wanted['std']
    assert abs(np.std(actual) / wanted['std'] - 1) < 1e-4


@pytest.mark.parametrize('name', families.literature())
def test_takes_the_state_dicts_of_the_community(name, reference):
  keys = json.loads((reference / 'state_dicts.json').read_text())[name]
  state = {key: np.zeros(shape, np.float16) for key, shape in keys.items()}
  variables = torch_import.convert(state, name)
  used = [shape for key, shape in keys.items() if not key.endswith('num_batches_tracked')]
  leaves = jax.tree.leaves(variables)
  assert sum(leaf.size for leaf in leaves) == sum(int(np.prod(shape)) for shape in used)
  assert all(leaf.dtype == np.float32 for leaf in leaves)


def random_state(shapes):
  """Return arrays of these shapes, with norms' statistics, that keep a network's maps in range."""
  rng = np.random.default_rng(0)
  state = {}
  for key, shape in shapes.items():
    if key.endswith('num_batches_tracked'):
      state[key] = np.array(7)
      continue
    if len(shape) > 1:
      value = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    elif key.endswith(('weight', 'running_var')):
      value = rng.uniform(0.5, 1.5, shape)
    else:
      value = 0.3 * rng.normal(size=shape)
    state[key] = value.astype(np.float32)
  return state


# --- PyTorch itself


def randomise(torch, module):
  """Give a PyTorch module random entries, in inference mode; return them."""
  state = random_state({key: tuple(value.shape) for key, value in module.state_dict().items()})
  module.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
  module.eval()
  return state


def random_image(size):
  """Return an image [2, 3, size, size] with values large enough for ReLU6 to clip."""
  return (3 * np.random.default_rng(1).normal(size=(2, 3, size, size))).astype(np.float32)


def nhwc(x):
  return np.asarray(x).transpose(0, 2, 3, 1)


def test_the_same_networks_are_written_in_pytorch(networks):
  assert set(networks.names()) == set(families.literature())


@pytest.mark.parametrize('name', families.literature())
def test_pytorch_has_the_entries_of_the_community(name, torch, networks, reference):
  expected = json.loads((reference / 'state_dicts.json').read_text())[name]
  with torch.device('meta'):
    state = networks.create(name, 200 if 'TinyImageNet' in name else 100).state_dict()
  assert {key: list(value.shape) for key, value in state.items()} == expected


# 35 becomes 18, 9 and 5, so strides meet odd maps and even ones. VGG pools once more from 64 on.
SIZES = {name: (35,) for name in families.literature() if name in SMALL.values()}
SIZES |= {'vgg8': (63, 64), 'ResNet18': (32,), 'ResNet50': (35,)}


@pytest.mark.parametrize(
  'name, size',
  [(name, size) for name in families.literature() for size in SIZES.get(name, (32,))],
)
def test_agrees_with_pytorch(name, size, torch, networks):
  # The golden outputs have as many classes, so some programs are compiled already.
  theirs = networks.create(name, num_classes=100)
  ours = torch_import.network(randomise(torch, theirs), name)
  image = random_image(size)
  with torch.no_grad():
    maps, target = theirs.features(torch.from_numpy(image))
    expected = theirs(torch.from_numpy(image))
  logits, features = run(name, ours, nhwc(image))
  pairs = {'logits': (logits, expected), 'target': (features.target, nhwc(target))}
  for i, (actual, wanted) in enumerate(zip(features.stages, maps, strict=True)):
    pairs[f'stage {i}'] = actual, nhwc(wanted)
  for actual, wanted in pairs.values():
    assert actual.shape == tuple(wanted.shape)
  errors = {name_of_map: relative(*pair) for name_of_map, pair in pairs.items()}
  worst = max(errors, key=errors.get)
  print(f'PyTorch {name} at {size}x{size}: {errors[worst]:.1e} of the largest value ({worst})')
  assert errors[worst] < 1e-4


# --- PyTorch's arithmetic in plain numpy, NCHW


def conv(x, weight, stride=1):
  edge = weight.shape[-1] // 2
  x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
  windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
  return np.einsum('bchwij,ocij->bohw', windows[:, :, ::stride, ::stride], weight)


def norm(x, state, name):
  scale, bias, mean, var = (
    state[f'{name}.{entry}'].astype(np.float64)[:, None, None]
    for entry in ('weight', 'bias', 'running_mean', 'running_var')
  )
  return (x - mean) / np.sqrt(var + 1e-5) * scale + bias


def relu(x):
  return np.maximum(x, 0)


def resnet8(state, x):
  x = relu(norm(conv(x, state['conv1.weight']), state, 'bn1'))
  for layer, stride in (('layer1.0', 1), ('layer2.0', 2), ('layer3.0', 2)):
    y = relu(norm(conv(x, state[f'{layer}.conv1.weight'], stride), state, f'{layer}.bn1'))
    y = norm(conv(y, state[f'{layer}.conv2.weight']), state, f'{layer}.bn2')
    if stride > 1:
      x = conv(x, state[f'{layer}.downsample.0.weight'], stride)
      x = norm(x, state, f'{layer}.downsample.1')
    x = relu(x + y)
  return x.mean((2, 3)) @ state['fc.weight'].T + state['fc.bias']


def wrn_16_1(state, x):
  x = conv(x, state['conv1.weight'])
  for stage, first in ((1, 1), (2, 2), (3, 2)):
    for block in range(2):
      name, stride = f'block{stage}.layer.{block}', first if block == 0 else 1
      y = relu(norm(x, state, f'{name}.bn1'))
      if f'{name}.convShortcut.weight' in state:
        x = conv(y, state[f'{name}.convShortcut.weight'], stride)
      y = relu(norm(conv(y, state[f'{name}.conv1.weight'], stride), state, f'{name}.bn2'))
      x = x + conv(y, state[f'{name}.conv2.weight'])
  x = relu(norm(x, state, 'bn1'))
  return x.mean((2, 3)) @ state['fc.weight'].T + state['fc.bias']


def conv_norm(conv, norm, inputs, outputs, size):
  return {f'{conv}.weight': (outputs, inputs, size, size), **norm_entries(norm, outputs)}


def norm_entries(name, channels):
  entries = ('weight', 'bias', 'running_mean', 'running_var')
  return {f'{name}.{entry}': (channels,) for entry in entries} | {f'{name}.num_batches_tracked': ()}


def resnet8_shapes():
  shapes = conv_norm('conv1', 'bn1', 3, 16, 3)
  for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
    block = f'layer{stage}.0'
    shapes |= conv_norm(f'{block}.conv1', f'{block}.bn1', inputs, outputs, 3)
    shapes |= conv_norm(f'{block}.conv2', f'{block}.bn2', outputs, outputs, 3)
    if inputs != outputs:
      shapes |= conv_norm(f'{block}.downsample.0', f'{block}.downsample.1', inputs, outputs, 1)
  return shapes | {'fc.weight': (5, 64), 'fc.bias': (5,)}


def wrn_16_1_shapes():
  shapes = {'conv1.weight': (16, 3, 3, 3)}
  for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
    for block, width in ((0, inputs), (1, outputs)):
      name = f'block{stage}.layer.{block}'
      shapes |= norm_entries(f'{name}.bn1', width)
      shapes |= conv_norm(f'{name}.conv1', f'{name}.bn2', width, outputs, 3)
      shapes[f'{name}.conv2.weight'] = (outputs, outputs, 3, 3)
      if width != outputs:
        shapes[f'{name}.convShortcut.weight'] = (outputs, width, 1, 1)
  return shapes | norm_entries('bn1', 64) | {'fc.weight': (5, 64), 'fc.bias': (5,)}


NETWORKS = {'resnet8': (resnet8, resnet8_shapes), 'wrn_16_1': (wrn_16_1, wrn_16_1_shapes)}


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('size', [8, 9])
def test_agrees_with_plain_numpy(name, size):
  forward, shapes = NETWORKS[name]
  state = random_state(shapes())
  image = np.random.default_rng(1).normal(size=(2, 3, size, size))
  network = Network(torch_import.convert(state, name), models.create(name, num_classes=5))
  logits, _ = run(name, network, jnp.asarray(image.transpose(0, 2, 3, 1), jnp.float32))
  assert relative(logits, forward(state, image)) < 1e-5


# --- state dicts that do not fit


def message(state, model):
  with pytest.raises(UserError) as error:
    torch_import.convert(state, model)
  assert '\n' not in str(error.value)
  return str(error.value)


@pytest.fixture
def few(monkeypatch):
  """Compare a state dict with a few networks instead of all, to be quick."""
  monkeypatch.setattr(models, 'names', lambda: ['resnet14', 'resnet8', 'wrn_16_1'])


def test_keys_that_do_not_fit_are_named(few):
  state = random_state(resnet8_shapes())
  assert len([key for key in state if not key.endswith('num_batches_tracked')]) == 47
  state['layer4.0.conv1.weight'] = np.zeros((1, 1, 3, 3), np.float32)
  state['bn1.colour'] = np.zeros(16, np.float32)
  state['conv1.weight'] = np.zeros((16, 1, 3, 3), np.float32)
  del state['layer2.0.bn2.running_var']
  likeness, _, problems = message(state, 'resnet8').partition(': ')
  # 45 of resnet8's 47 entries are there, and three others: 45 of 50 in all.
  assert likeness == "the checkpoint has 90% of the entries of 'resnet8'"
  assert problems.split('; ') == [
    'missing: layer2.0.bn2.running_var',
    'surplus: bn1.colour, layer4.0.conv1.weight',
    'misshapen: conv1.weight [16, 1, 3, 3]',
  ]


def test_many_missing_keys_are_not_all_listed(few):
  text = message({'fc.weight': np.zeros((5, 64)), 'fc.bias': np.zeros(5)}, 'resnet8')
  assert text.startswith(
    "the checkpoint is of no network that is built in; for 'resnet8' it has missing: "
  )
  assert text.endswith(', ...') and len(text) < 400


def test_another_networks_state_dict_is_told_by_its_name():
  """All networks are compared. Some share all keys and differ only in shapes."""
  model = models.create('resnet32x4', num_classes=7)
  init = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  state = {}
  for path, leaf in traverse_util.flatten_dict(init).items():
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim, range(leaf.ndim))
    shape = [leaf.shape[axis] for axis in order]
    state[torch_names.key('ResNet', path)] = np.zeros(shape, np.float16)
  text = message(state, 'resnet8x4')
  assert text == (
    "the checkpoint is that of 'resnet32x4', not of 'resnet8x4'; import it by that name"
  )
  assert torch_import.network(state, 'resnet32x4').model == model


def test_an_empty_state_dict_is_refused(few):
  assert 'missing: bn1.bias, ' in message({}, 'resnet8')


@pytest.mark.parametrize('key', ['fc.weight', 'fc.bias'])
def test_a_state_dict_without_a_classifier_is_refused(key, few):
  state = random_state(resnet8_shapes())
  del state[key]
  assert f'missing: {key}' in message(state, 'resnet8')


def test_a_classifier_may_be_a_1x1_convolution():
  state = random_state(resnet8_shapes())
  converted = torch_import.convert(
    state | {'fc.weight': state['fc.weight'][:, :, None, None]}, 'resnet8'
  )
  jax.tree.map(np.testing.assert_array_equal, converted, torch_import.convert(state, 'resnet8'))


def test_an_unknown_model_is_refused():
  assert "unknown model 'resnet9'" in message({'fc.weight': np.zeros((5, 64))}, 'resnet9')


@pytest.mark.parametrize('name', SMALL.values())
def test_every_variable_of_a_family_has_a_name_of_its_own(name):
  model = models.create(name, num_classes=2)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  paths = traverse_util.flatten_dict(shapes)
  keys = {torch_names.key(type(model).__name__, path) for path in paths}
  assert len(keys) == len(paths)


@pytest.mark.parametrize(
  'family, module', [('AlexNet', 'stem'), ('Distilled', 'stem'), ('ResNet', 'stage1_attention')]
)
def test_what_has_no_name_in_pytorch_is_a_lookup_error(family, module):
  with pytest.raises(LookupError):
    torch_names.key(family, ('params', module, 'conv', 'kernel'))


def test_a_file_of_a_training_becomes_the_network_that_it_was(torch, networks, saved):
  """As RepDistiller saves it in the middle of a training on many GPUs."""
  theirs = networks.create('resnet8', num_classes=5)
  randomise(torch, theirs)
  optimizer = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
  theirs.train()
  image = torch.from_numpy(random_image(16))
  theirs(image).square().mean().backward()
  optimizer.step()
  theirs.eval()
  content = {
    'epoch': 3,
    'model': torch.nn.DataParallel(theirs).state_dict(),
    'best_acc': np.float64(12.5),
    'optimizer': optimizer.state_dict(),
  }
  assert all(key.startswith('module.') for key in content['model'])
  ours = torch_import.network(torch_import.read(saved(content)).model, 'resnet8')
  with torch.no_grad():
    expected = theirs(image)
  assert relative(jitted(ours, nhwc(image))[0], expected) < 1e-5


def test_a_wrapper_may_have_the_name_of_a_module():
  state = random_state(resnet8_shapes())
  wrapped = {f'classifier.fc.{key}': value for key, value in state.items()}
  jax.tree.map(
    np.testing.assert_array_equal,
    torch_import.convert(wrapped, 'resnet8'),
    torch_import.convert(state, 'resnet8'),
  )


@pytest.mark.parametrize(
  'key, change, says',
  [
    ('conv1.weight', lambda v: v.astype(np.complex64), r'no floats, in conv1.weight \(complex64\)'),
    ('conv1.weight', lambda v: v.astype(np.int8), r'no floats, in conv1.weight \(int8\)'),
    ('bn1.bias', lambda v: v > 0, r'no floats, in bn1.bias \(bool\)'),
    ('bn1.running_var', lambda v: -v, 'variances below 0, in stem/norm/var'),
  ],
)
def test_odd_values_are_refused(key, change, says):
  state = random_state(resnet8_shapes())
  with pytest.raises(UserError, match=says):
    torch_import.convert(state | {key: change(state[key])}, 'resnet8')


def test_a_network_for_large_images_is_told_by_its_stem(few):
  state = random_state(resnet8_shapes() | {'conv1.weight': (16, 3, 7, 7)})
  assert message(state, 'resnet8').endswith('misshapen: conv1.weight [16, 3, 7, 7]')
  # Of another network, no key would tell as much.
  wider = {key: np.repeat(value, 2, axis=0) for key, value in state.items()}
  assert message(wider, 'resnet8').startswith(
    'the checkpoint is of a network for images of 224x224, as its conv1.weight is 7x7; it is none '
    'that is built in: '
  )


def test_a_user_who_names_no_network_learns_which_it_is(few):
  state = random_state(resnet8_shapes())
  find = lambda state: torch_import.suggestion(torch_import.Checkpoint(state, None))  # noqa: E731
  assert find(state) == 'its entries are those of --model resnet8'
  del state['conv1.weight']
  assert find(state) == 'nearest is --model resnet8'
  other = {'encoder.weight': np.zeros((4, 4), np.float32)}
  assert find(other).startswith('the checkpoint is of no network that is')


def test_the_network_among_other_entries_is_told_with_its_prefix(few):
  state = {f'model.{key}': value for key, value in random_state(resnet8_shapes()).items()}
  state['criterion.weight'] = np.ones(10, np.float32)
  says = (
    "most keys begin with 'model.', and others do not; try --prefix model: then the checkpoint is "
    "that of 'resnet8'"
  )
  assert torch_import.suggestion(torch_import.Checkpoint(state, None)) == says
  assert message(state, 'vgg8') == says
  # A network for large images is not said to be none that is built in.
  large = {key: np.zeros((4, 4), np.float32) for key in ('layer4.0.conv2.weight', 'fc.weight')}
  large |= {'conv1.weight': np.zeros((4, 3, 7, 7), np.float32)}
  large |= {'layer2.0.downsample.0.weight': large['fc.weight']}
  state = {f'model.{key}': value for key, value in large.items()} | {'loss.weight': np.ones(4)}
  found = torch_import.suggestion(torch_import.Checkpoint(state, None))
  assert 'try --prefix model: the checkpoint is torchvision' in found


def test_a_number_beside_the_network_is_no_part_of_it():
  state = random_state(resnet8_shapes())
  averaged = {f'module.{key}': value for key, value in state.items()} | {'n_averaged': np.array(3)}
  jax.tree.map(
    np.testing.assert_array_equal,
    torch_import.convert(averaged, 'resnet8'),
    torch_import.convert(state, 'resnet8'),
  )


def test_only_networks_that_may_be_alike_are_traced(monkeypatch):
  traced = []
  expected = torch_likeness.expected

  def trace(name, num_classes):
    traced.append(name)
    return expected(name, num_classes)

  monkeypatch.setattr(torch_likeness, 'expected', trace)
  state = random_state(resnet8_shapes() | {'layer1.0.bn3.bias': (4,)})
  message(state, 'vgg8')
  assert sorted(set(traced)) == ['resnet8', 'resnet8x4', 'vgg8']


# --- students of SimKD


def make_simkd(torch, networks, simkd, student, teacher, factor, size):
  """Return PyTorch's student, projector and teacher, and their random entries."""
  student, teacher = (networks.create(name, num_classes=5) for name in (student, teacher))
  with torch.no_grad():
    image = torch.zeros((2, 3, size, size))
    channels = student.distillation_map(image).shape[1], teacher.features(image)[1].shape[1]
  parts = student, simkd.Projector(*channels, factor), teacher
  return parts, [randomise(torch, part) for part in parts]


@pytest.mark.parametrize(
  'student, teacher, factor, size',
  [
    ('resnet8', 'resnet14x2', 2, 32),
    # The student's map is larger and activated by its head. The teacher has a head too.
    ('wrn_16_1', 'MobileNetV2', 8, 32),
    # The student's map is smaller than the teacher's, and its last convolution is left out.
    ('MobileNetV2', 'vgg8', 3, 32),
    ('ShuffleV2', 'wrn_16_1', 1, 16),
  ],
)
def test_a_student_of_simkd_answers_as_in_pytorch(
  student, teacher, factor, size, torch, networks, simkd
):
  parts, states = make_simkd(torch, networks, simkd, student, teacher, factor, size)
  image = random_image(size)
  expected = simkd.predict(*parts, torch.from_numpy(image))
  network = torch_import.distilled(
    Checkpoint(states[0], states[1]),
    student,
    torch_import.network(states[2], teacher),
    (size, size, 3),
  )
  error = relative(jitted(network, nhwc(image))[0], expected)
  print(f'PyTorch SimKD {student} < {teacher}: {error:.1e} of the largest logit')
  assert error < 1e-4
  shapes = jax.eval_shape(network.model.init, jax.random.key(0), nhwc(image))
  assert jax.tree.map(jnp.shape, network.variables) == jax.tree.map(jnp.shape, shapes)
  assert network.model.student == models.create(student, num_classes=5)


@pytest.fixture(scope='module')
def small_simkd(torch, networks, simkd):
  """Return (student's state, projector's state, teacher) of resnet8 and resnet14x2."""
  _, (student, projector, teacher) = make_simkd(
    torch, networks, simkd, 'resnet8', 'resnet14x2', 2, 16
  )
  return student, projector, torch_import.network(teacher, 'resnet14x2')


@pytest.mark.parametrize(
  'change, says',
  [
    (lambda p: {'epoch': np.zeros(3)}, 'its transfer.0.weight is not there'),
    (lambda p: p | {'transfer.0.weight': np.zeros(3)}, r'is of shape \[3\]'),
    # The projector has more channels than this teacher's map.
    (lambda p: p | {'transfer.0.weight': np.zeros((512, 64, 1, 1))}, 'onto 128 channels'),
    (
      lambda p: {k: v for k, v in p.items() if k != 'transfer.7.running_mean'},
      'does not lead from .resnet8. to this teacher: missing: transfer.7.running_mean',
    ),
    (lambda p: p | {'head.weight': np.zeros(3)}, 'surplus: head.weight'),
    (
      lambda p: p | {'transfer.0.weight': np.zeros((64, 32, 1, 1), np.float32)},
      r'misshapen: transfer.0.weight \[64, 32, 1, 1\]',
    ),
  ],
)
def test_a_projector_that_does_not_fit_is_refused(change, says, small_simkd):
  student, projector, teacher = small_simkd
  checkpoint = Checkpoint(student, change(projector))
  with pytest.raises(UserError, match=says) as error:
    torch_import.distilled(checkpoint, 'resnet8', teacher, (16, 16, 3))
  assert '\n' not in str(error.value)


def test_a_projector_onto_another_teacher_is_refused(torch, simkd, small_simkd):
  student, _, teacher = small_simkd
  other = randomise(torch, simkd.Projector(64, 64, 2))
  with pytest.raises(UserError, match='does not lead .* to this teacher: misshapen: transfer'):
    torch_import.distilled(Checkpoint(student, other), 'resnet8', teacher, (16, 16, 3))
