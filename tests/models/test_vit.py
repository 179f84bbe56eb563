"""ViT and DeiT: timm's parameters, tokens and logits, and images of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_import, torch_likeness, torch_names
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.network import Network
from pidkd_jax.models.vit import MODELS, ViT
from tests import timm_oracle

TOY = ViT(num_classes=5, patch=4, width=12, layers=2, heads=3, image_size=16)


def shapes(model, size):
  image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), image)


def encoded(network, size):
  image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  return jax.eval_shape(Network.encode, network, image)


@pytest.mark.parametrize('name', [name for name in MODELS if name.endswith('224')])
def test_has_the_entries_of_timm(name):
  """One parameter of each name and shape, so the counts are equal, too."""
  ours = {
    torch_names.key('ViT', path): torch_likeness._to_torch(leaf.shape)
    for path, leaf in traverse_util.flatten_dict(
      shapes(models.create(name, num_classes=10), 32)
    ).items()
  }
  assert ours == timm_oracle.shapes(name)


# At other sizes than 32 timm resamples the positions; 22 is no multiple of 4.
@pytest.mark.parametrize('size', [22, 40])
def test_has_the_tokens_and_logits_of_timm(size):
  theirs, state = timm_oracle.random(
    'vit_tiny_patch16_224',
    patch_size=4,
    img_size=32,
    dynamic_img_size=True,
    dynamic_img_pad=True,
  )
  torch = pytest.importorskip('torch')
  rng = np.random.default_rng(1)
  # Large enough to matter.
  state |= {
    key: rng.normal(size=state[key].shape).astype(np.float32) for key in ('cls_token', 'pos_embed')
  }
  theirs.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
  image = rng.normal(size=(1, 3, size, size)).astype(np.float32)
  with torch.no_grad():
    tokens = theirs.forward_features(torch.from_numpy(image)).numpy()
    logits = theirs(torch.from_numpy(image)).numpy()
  ours = torch_import.network(state, 'vit_tiny_patch4_32')
  # Op by op, equal blocks share their programs.
  features = ours.encode(image.transpose(0, 2, 3, 1))
  patches = ours.model.apply(ours.variables, features.stages[-1], method='distillation_map')
  np.testing.assert_allclose(ours.classify(features.pooled), logits, atol=1e-4)
  np.testing.assert_allclose(features.target[:, 0, 0], tokens[:, 0], atol=1e-4)
  np.testing.assert_allclose(patches.reshape(1, -1, 192), tokens[:, 1:], atol=1e-4)


def test_multiply_adds_equal_a_count_by_hand():
  width, tokens = TOY.width, 1 + 4 * 4
  patches = 4 * 4 * (4 * 4 * 3) * width
  linear = tokens * (3 + 1 + 4 + 4) * width**2
  # Each head's products of queries and keys, and of weights and values.
  attention = 2 * TOY.heads * tokens * tokens * (width // TOY.heads)
  total = patches + TOY.layers * (linear + attention) + width * 5
  assert cost(Network(shapes(TOY, 16), TOY), (16, 16, 3)).multiply_adds == total


def test_attention_equals_a_sum_in_numpy(fill):
  model = TOY.clone(layers=1)
  network = Network(fill(shapes(model, 8)), model)
  image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
  block = network.variables['params']['block1']
  [before, after], _ = network.model.apply(network.variables, image, method='tokens')
  before = np.asarray(before, np.float64)[0]

  def linear(module, name, x):
    layer = block[module][name]
    return x @ np.asarray(layer['kernel']) + np.asarray(layer['bias'])

  def norm(name, x):
    unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return unit * np.asarray(block[name]['scale']) + np.asarray(block[name]['bias'])

  parts = linear('attention', 'qkv', norm('norm1', before)).reshape(5, 3, 3, 4)
  heads = []
  for head in range(3):
    query, key, value = (parts[:, part, head] for part in range(3))
    weights = np.exp(query @ key.T / 2)
    heads.append(weights / weights.sum(-1, keepdims=True) @ value)
  x = before + linear('attention', 'projection', np.concatenate(heads, -1))
  hidden = np.asarray(jax.nn.gelu(linear('mlp', 'first', norm('norm2', x)), approximate=False))
  np.testing.assert_allclose(after[0], x + linear('mlp', 'second', hidden), rtol=1e-3, atol=1e-4)


def test_the_target_is_the_class_token_and_stages_are_patches():
  network = Network(shapes(TOY, 16), TOY)
  features = encoded(network, 16)
  assert features.target.shape == (2, 1, 1, 12) and not features.rectified
  assert [each.shape for each in features.stages] == 3 * [(2, 4, 4, 12)]
  deep = models.create('vit_tiny_patch4_32', num_classes=5)
  assert len(encoded(Network(shapes(deep, 32), deep), 32).stages) == 1 + 4


@pytest.mark.parametrize('size, side', [(1, 1), (16, 4), (33, 9)])
def test_takes_images_of_any_size(size, side):
  network = Network(shapes(TOY, size), TOY)
  assert [each.shape[1:3] for each in encoded(network, size).stages] == 3 * [(side, side)]
  assert jax.tree.map(jnp.shape, shapes(TOY, 16)) == jax.tree.map(jnp.shape, network.variables)


def test_a_layer_computes_in_the_type_of_its_input(fill):
  network = Network(fill(shapes(TOY, 16)), TOY)
  image = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.bfloat16)
  features = jax.eval_shape(Network.encode, network, image)
  assert {each.dtype for each in features.stages} == {jnp.dtype('bfloat16')}
  assert features.pooled.dtype == jnp.float32


@pytest.mark.parametrize(
  'change, says', [({'image_size': 18}, 'no multiple of the patch 4'), ({'heads': 5}, 'of 5 heads')]
)
def test_sizes_that_do_not_divide_are_refused(change, says):
  with pytest.raises(ValueError, match=says):
    shapes(TOY.clone(**change), 16)


def test_half_the_channels_of_each_head():
  narrow = models.create('vit_tiny_patch4_32*0.5', num_classes=5)
  assert (narrow.width, narrow.heads) == (96, 3)
