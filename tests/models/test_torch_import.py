"""PyTorch state dicts: against golden outputs, and against a forward pass in plain numpy."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import models, torch_import
from pidkd_jax.errors import UserError
from pidkd_jax.types import Network


@jax.jit
def run(network, image):
  features = network.encode(image)
  return network.classify(features.pooled), features


# --- golden outputs


def test_golden_outputs_are_compared_wherever_there_are_any(reference):
  [mark] = test_agrees_with_the_golden_outputs.pytestmark
  recorded = json.loads((reference / 'golden.json').read_text())
  assert set(mark.args[1]) == recorded.keys() & set(models.names())


@pytest.fixture(scope='module')
def golden(reference):
  """The module that builds the weights and the input of the golden outputs."""
  path = reference.parent / 'tools' / 'golden.py'
  spec = importlib.util.spec_from_file_location('golden', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def relative(found, expected):
  expected = np.asarray(expected)
  return np.max(np.abs(np.asarray(found) - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize('name', ['resnet20', 'resnet8x4', 'resnet14x2', 'wrn_16_2'])
def test_agrees_with_the_golden_outputs(name, reference, golden):
  expected = json.loads((reference / 'golden.json').read_text())[name]
  keys = json.loads((reference / 'state_dicts.json').read_text())[name]
  variables = torch_import.convert(golden.state_dict(keys), name)
  network = Network(variables, models.create(name, num_classes=100))
  logits, features = run(network, golden.image().transpose(0, 2, 3, 1))
  assert relative(logits, expected['logits']) < 1e-4
  maps = [*features.stages, features.pooled]
  for found, wanted in zip(maps, expected['features'], strict=True):
    shape = (*found.shape[:1], found.shape[-1], *found.shape[1:-1])
    assert list(shape) == wanted['shape']
    # A mean may be near 0: the map's spread is the measure.
    assert abs(np.mean(found) - wanted['mean']) < 1e-4 * wanted['std']
    assert abs(np.std(found) / wanted['std'] - 1) < 1e-4


@pytest.mark.parametrize('name', models.names())
def test_takes_the_state_dicts_of_the_community(name, reference):
  keys = json.loads((reference / 'state_dicts.json').read_text())[name]
  state = {key: np.zeros(shape, np.float16) for key, shape in keys.items()}
  variables = torch_import.convert(state, name)
  used = [shape for key, shape in keys.items() if not key.endswith('num_batches_tracked')]
  leaves = jax.tree.leaves(variables)
  assert sum(leaf.size for leaf in leaves) == sum(int(np.prod(shape)) for shape in used)
  assert all(leaf.dtype == np.float32 for leaf in leaves)


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
  found = conv_norm('conv1', 'bn1', 3, 16, 3)
  for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
    block = f'layer{stage}.0'
    found |= conv_norm(f'{block}.conv1', f'{block}.bn1', inputs, outputs, 3)
    found |= conv_norm(f'{block}.conv2', f'{block}.bn2', outputs, outputs, 3)
    if inputs != outputs:
      found |= conv_norm(f'{block}.downsample.0', f'{block}.downsample.1', inputs, outputs, 1)
  return found | {'fc.weight': (5, 64), 'fc.bias': (5,)}


def wrn_16_1_shapes():
  found = {'conv1.weight': (16, 3, 3, 3)}
  for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
    for block, width in ((0, inputs), (1, outputs)):
      name = f'block{stage}.layer.{block}'
      found |= norm_entries(f'{name}.bn1', width)
      found |= conv_norm(f'{name}.conv1', f'{name}.bn2', width, outputs, 3)
      found[f'{name}.conv2.weight'] = (outputs, outputs, 3, 3)
      if width != outputs:
        found[f'{name}.convShortcut.weight'] = (outputs, width, 1, 1)
  return found | norm_entries('bn1', 64) | {'fc.weight': (5, 64), 'fc.bias': (5,)}


def random_state(shapes):
  rng = np.random.default_rng(0)
  state = {}
  for key, shape in shapes.items():
    if len(shape) > 1:
      state[key] = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    elif key.endswith('num_batches_tracked'):
      state[key] = np.int64(7)
      continue
    else:
      state[key] = rng.uniform(0.5, 1.5, shape)
    state[key] = state[key].astype(np.float32)
  return state


NETWORKS = {'resnet8': (resnet8, resnet8_shapes), 'wrn_16_1': (wrn_16_1, wrn_16_1_shapes)}


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('size', [8, 9])
def test_agrees_with_plain_numpy(name, size):
  forward, shapes = NETWORKS[name]
  state = random_state(shapes())
  image = np.random.default_rng(1).normal(size=(2, 3, size, size))
  network = Network(torch_import.convert(state, name), models.create(name, num_classes=5))
  logits, _ = run(network, jnp.asarray(image.transpose(0, 2, 3, 1), jnp.float32))
  assert relative(logits, forward(state, image)) < 1e-5


# --- what does not fit


def message(state, model):
  with pytest.raises(UserError) as error:
    torch_import.convert(state, model)
  assert '\n' not in str(error.value)
  return str(error.value)


def test_keys_that_do_not_fit_are_named():
  state = random_state(resnet8_shapes())
  state['layer4.0.conv1.weight'] = np.zeros((1, 1, 3, 3), np.float32)
  state['bn1.colour'] = np.zeros(16, np.float32)
  state['conv1.weight'] = np.zeros((16, 1, 3, 3), np.float32)
  del state['layer2.0.bn2.running_var']
  found = message(state, 'resnet8')
  assert "does not fit 'resnet8'" in found
  assert found.partition(': ')[2].split('; ') == [
    'missing: layer2.0.bn2.running_var',
    'surplus: bn1.colour, layer4.0.conv1.weight',
    'misshapen: conv1.weight [16, 1, 3, 3]',
  ]


def test_many_missing_keys_are_not_all_listed():
  found = message({'fc.weight': np.zeros((5, 64)), 'fc.bias': np.zeros(5)}, 'resnet8')
  assert found.endswith(' ...') and len(found) < 400


def test_another_networks_state_dict_is_refused():
  assert 'surplus' in message(random_state(wrn_16_1_shapes()), 'resnet8')


def test_a_state_dict_without_a_classifier_is_refused():
  state = random_state(resnet8_shapes())
  del state['fc.weight']
  assert 'missing: fc.weight' in message(state, 'resnet8')


def test_an_unknown_model_is_refused():
  assert "unknown model 'resnet9'" in message({'fc.weight': np.zeros((5, 64))}, 'resnet9')


def test_every_family_has_a_table_of_its_names():
  made = {type(models.create(name, num_classes=2)).__name__ for name in models.names()}
  assert made == set(torch_import._MODULES)
