"""Checkpoints of other libraries are recognised by their names and shapes."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_import, torch_layouts, torch_likeness, torch_names
from pidkd_jax.core.errors import UserError
from tests import families


def zeros(**shapes):
  """Return a state dict; '__' stands for a dot."""
  return {key.replace('__', '.'): np.zeros(shape, np.float32) for key, shape in shapes.items()}


def resnet(blocks, width=64, groups=1, bottleneck=False, stem=7, classes=1000):
  state = zeros(conv1__weight=(64, 3, stem, stem), fc__weight=(classes, 512))
  state |= zeros(layer2__0__downsample__0__weight=(128, 64, 1, 1))
  for stage, count in enumerate(blocks, start=1):
    for block in range(count):
      start = f'layer{stage}.{block}'
      state[f'{start}.conv2.weight'] = np.zeros((width, width // groups, 3, 3), np.float32)
      if bottleneck:
        state[f'{start}.conv3.weight'] = np.zeros((256, width, 1, 1), np.float32)
  return state


def vgg(convolutions, norm):
  state = zeros(classifier__0__weight=(4096, 25088), classifier__6__weight=(1000, 4096))
  for i in range(convolutions):
    state[f'features.{3 * i}.weight'] = np.zeros((64, 3 if not i else 64, 3, 3), np.float32)
    if norm:
      state[f'features.{3 * i + 1}.running_mean'] = np.zeros(64, np.float32)
  return state


def densenet(blocks):
  state = zeros(features__conv0__weight=(64, 3, 7, 7), classifier__weight=(1000, 1024))
  for block, layers in enumerate(blocks, start=1):
    for layer in range(1, layers + 1):
      key = f'features.denseblock{block}.denselayer{layer}.conv1.weight'
      state[key] = np.zeros((128, 64, 1, 1), np.float32)
  return state


def transformer(block, patch, width, side, classifier, depth=12):
  keys = {block.format(i): (3 * width, width) for i in range(depth)}
  shapes = keys | {patch: (width, 3, side, side), classifier: (1000, width)}
  return {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}


_FIRST = 'embeddings.patch_embeddings.projection.weight'


@pytest.mark.parametrize(
  ('state', 'name'),
  [
    (resnet((2, 2, 2, 2)), "torchvision's resnet18 (timm's has the same names), a stem of 7x7"),
    (resnet((3, 4, 6, 3), stem=3, classes=100), "torchvision's resnet34 .*, a stem of 3x3, 100"),
    (resnet((3, 4, 6, 3), bottleneck=True), "torchvision's resnet50 "),
    (resnet((3, 4, 23, 3), bottleneck=True), "torchvision's resnet101 "),
    (resnet((3, 4, 6, 3), 128, 32, True), "torchvision's resnext50_32x4d "),
    (resnet((3, 4, 6, 3), 128, 1, True), "torchvision's wide_resnet50_2 "),
    (vgg(13, False), "torchvision's vgg16, a stem of 3x3, 1,000 classes"),
    (vgg(8, True), "torchvision's vgg11_bn, "),
    (densenet((6, 12, 24, 16)), "torchvision's densenet121 "),
    (
      transformer('blocks.{}.attn.qkv.weight', 'patch_embed.proj.weight', 384, 16, 'head.weight'),
      "timm's vit_small_patch16, a transformer of 12 blocks, a stem of 16x16, 1,000 classes",
    ),
    (
      transformer(
        'encoder.layers.encoder_layer_{}.mlp.0.weight', 'conv_proj.weight', 768, 32,
        'heads.head.weight',
      ),
      "torchvision's vit_base_patch32, a transformer of 12 blocks",
    ),
    (
      transformer(
        'vit.encoder.layer.{}.attention.attention.query.weight', f'vit.{_FIRST}', 768, 16,
        'classifier.weight', depth=6,
      ),
      "Hugging Face transformers' vit_base_patch16, a transformer of 6 blocks, a stem of 16x16",
    ),
    (
      zeros(features__0__0__weight=(32, 3, 3, 3), features__1__conv__0__0__weight=(32, 1, 3, 3)),
      "torchvision's mobilenet_v2, a stem of 3x3",
    ),
  ],
  ids=lambda value: value if isinstance(value, str) else '',
)  # fmt: skip
def test_the_network_of_another_library_has_its_name(state, name):
  text = torch_layouts.find(state)
  start, _, rest = name.partition(' .*')
  assert text.startswith(start) and rest in text and '\n' not in text


@pytest.mark.parametrize(
  'state', [densenet((6, 12, 24, 16)), vgg(13, False)], ids=['densenet', 'vgg']
)
def test_what_is_certainly_not_built_in_is_said_at_once(state, monkeypatch):
  # Nothing is traced, so the answer does not wait.
  monkeypatch.setattr(torch_likeness, 'expected', functools.partial(pytest.fail, 'traced'))
  with pytest.raises(UserError) as error:
    torch_import.network(state, 'resnet8')
  text = str(error.value)
  assert text.startswith(
    f'the checkpoint is {torch_layouts.find(state)}; that network is not built'
  )
  assert '`pidkd networks` lists' in text and torch_likeness.suggestion(state) == text


def test_a_file_of_transformers_is_not_promised_to_come_in(monkeypatch):
  monkeypatch.setattr(torch_likeness, 'expected', functools.partial(pytest.fail, 'traced'))
  state = transformer(
    'vit.encoder.layer.{}.attention.attention.query.weight', f'vit.{_FIRST}', 768, 16,
    'classifier.weight', depth=6,
  )  # fmt: skip
  text = torch_likeness.suggestion(state)
  assert text.startswith(f'the checkpoint is {torch_layouts.find(state)}; its keys are not read;')
  assert 'not built in' not in text  # timm's ViT is.


@pytest.mark.parametrize(
  ('without', 'more', 'says'),
  [
    ('layer1.0.bn1.bias', {}, 'missing: layer1.0.bn1.bias. '),
    (
      'fc.weight',
      {'fc.1.weight': (10, 512)},
      'missing: fc.weight; surplus: fc.1.weight; misshapen: fc.bias [10]. ',
    ),
    ('', {'extra.weight': (3, 3)}, 'surplus: extra.weight. '),
  ],
)
def test_a_wrong_key_of_a_network_that_is_built_in_is_named(without, more, says, monkeypatch):
  name = 'resnet18_imagenet'
  monkeypatch.setattr(models, 'names', lambda: [name, 'resnet8'])
  model, variables = torch_likeness.expected(name, 10)
  state = {
    torch_names.key(type(model).__name__, path): np.zeros(torch_likeness._to_torch(leaf.shape))
    for path, leaf in variables.items()
  }
  state |= {key: np.zeros(shape) for key, shape in more.items()}
  state.pop(without, None)
  with pytest.raises(UserError) as error:
    torch_import.network(state, name)
  text = str(error.value)
  assert f"of the entries of '{name}': {says}" in text and 'not built in' not in text
  assert "Its names are those of torchvision's resnet18" in text and '--model timm/NAME' in text
  assert torch_likeness.suggestion(state).startswith(f'nearest is --model {name}')


@pytest.mark.parametrize('name', sorted({*families.SMALL.values()} & {*families.literature()}))
def test_no_network_of_the_literature_is_taken_for_another(name):
  model = models.create(name, num_classes=7)
  shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
  state = {
    torch_names.key(type(model).__name__, path): np.zeros(torch_likeness._to_torch(leaf.shape))
    for path, leaf in traverse_util.flatten_dict(shapes).items()
  }
  assert not torch_layouts.find(state)
