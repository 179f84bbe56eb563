"""ConvNeXt: timm's parameters, maps and logits, and images of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.bundles import torch_import, torch_likeness, torch_names
from pidkd_jax.evaluation.cost import cost
from pidkd_jax.models.convnext import MODELS, ConvNeXt
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.nn.layers import FUSED_NORMS
from tests import timm_oracle

TOY = ConvNeXt(num_classes=5, blocks_per_stage=(1, 1, 2, 1), widths=(4, 8, 12, 16))


def shapes(model, size):
  image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), image)


@pytest.mark.parametrize('name', MODELS)
def test_has_the_entries_of_timm(name):
  """One parameter of each name and shape, so the counts are equal, too."""
  ours = {
    torch_names.key('ConvNeXt', path): torch_likeness._essential(
      torch_likeness._to_torch(leaf.shape)
    )
    for path, leaf in traverse_util.flatten_dict(
      shapes(models.create(name, num_classes=10), 32)
    ).items()
  }
  theirs = timm_oracle.shapes(name)
  assert ours == {key: torch_likeness._essential(shape) for key, shape in theirs.items()}


# Of an odd side, rows and columns that fill no patch are left out.
@pytest.mark.parametrize('size', [64, 75])
def test_has_the_maps_and_logits_of_timm(size):
  theirs, state = timm_oracle.random('convnext_atto')
  torch = pytest.importorskip('torch')
  image = np.random.default_rng(1).normal(size=(1, 3, size, size)).astype(np.float32)
  with torch.no_grad():
    maps = theirs.forward_intermediates(torch.from_numpy(image), intermediates_only=True)
    logits = theirs(torch.from_numpy(image)).numpy()
  ours = torch_import.network(state, 'convnext_atto')
  # Op by op, equal blocks share their programs.
  features = ours.encode(image.transpose(0, 2, 3, 1))
  np.testing.assert_allclose(ours.classify(features.pooled), logits, atol=1e-4)
  for found, expected in zip(features.stages[1:], maps, strict=True):
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 1), atol=1e-4)


def test_multiply_adds_equal_a_count_by_hand():
  blocks, widths, total = TOY.blocks_per_stage, TOY.widths, 0
  for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
    cells = (32 // 4 // 2**stage) ** 2
    before = 4 * 4 * 3 if stage == 0 else 2 * 2 * widths[stage - 1]
    total += cells * (before * width + count * (49 * width + 2 * 4 * width**2))
  total += widths[-1] * 5
  assert cost(Network(shapes(TOY, 32), TOY), (32, 32, 3)).multiply_adds == total


@pytest.mark.parametrize('size, sides', [(1, [1, 1, 1, 1]), (16, [4, 2, 1, 1]), (33, [8, 4, 2, 1])])
def test_takes_images_of_any_size(size, sides):
  network = Network(shapes(TOY, size), TOY)
  features = jax.eval_shape(
    Network.encode, network, jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  )
  assert [each.shape[1:3] for each in features.stages[1:]] == [(side, side) for side in sides]
  assert jax.tree.map(jnp.shape, shapes(TOY, 64)) == jax.tree.map(jnp.shape, network.variables)


def test_the_classifier_takes_the_norm_of_the_pooled_feature(fill):
  network = Network(fill(shapes(TOY, 16)), TOY)
  pooled = np.random.default_rng(0).normal(3, 2, (2, 16)).astype(np.float32)
  norm, linear = (network.variables['params']['classifier'][part] for part in ('norm', 'linear'))
  unit = (pooled - pooled.mean(-1, keepdims=True)) / np.sqrt(pooled.var(-1, keepdims=True) + 1e-6)
  expected = (unit * norm['scale'] + norm['bias']) @ linear['kernel'] + linear['bias']
  np.testing.assert_allclose(network.classify(pooled), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_computes_in_the_type_of_its_input(fill):
  network = Network(fill(shapes(TOY, 16)), TOY)
  features = jax.eval_shape(
    Network.encode, network, jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.bfloat16)
  )
  assert {each.dtype for each in features.stages} == {jnp.dtype('bfloat16')}
  assert features.pooled.dtype == jnp.float32


def test_there_is_no_norm_to_fuse(fill):
  network = Network(fill(shapes(TOY, 16)), TOY)
  assert fuse_norms(network, (16, 16, 3)).variables[FUSED_NORMS] == {}


def test_half_the_channels():
  assert models.create('convnext_atto*0.5', num_classes=5).widths == (20, 40, 80, 160)
