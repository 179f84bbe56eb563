"""A network with fused norms computes the same logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import models
from pidkd_jax.models.base import Model
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms, fused_shapes
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.nn.layers import FUSED_NORMS, ConvNorm
from tests import families

SHAPE = (16, 16, 3)


@pytest.fixture(scope='module')
def network(fill):
  """A function that gives a model random variables, statistics included."""

  def network(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, *SHAPE)))
    return Network(fill(shapes), model)

  return network


def assert_equal_outputs(fused, plain, image):
  actual, expected = (
    jax.jit(lambda network: network.classify(network.encode(image).pooled))(each)
    for each in (fused, plain)
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


IMAGES = np.random.default_rng(2).normal(size=(2, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize('name', families.SMALL.values())
def test_outputs_are_kept(name, network, monkeypatch):
  families.shorten(monkeypatch)
  plain = network(models.create(name, num_classes=5))
  fused = fuse_norms(plain, SHAPE)
  assert_equal_outputs(fused, plain, IMAGES)
  assert {name: fused.variables[name] for name in plain.variables} == plain.variables
  shapes, expected = (jax.eval_shape(lambda network: network, one) for one in (plain, fused))
  assert fused_shapes(shapes, SHAPE) == expected


def test_outputs_of_a_stack_are_kept(network):
  student, teacher = (
    ResNet(num_classes=5, depth=8, widths=(4, 8, 16, width)) for width in (16, 32)
  )
  distilled = Distilled(
    num_classes=5,
    student=student,
    teacher=teacher,
    num_projectors=3,
    hidden=32,
    integration='learned',
    target=(4, 4, 32),
    target_rectified=True,
  )
  plain = network(distilled)
  fused = fuse_norms(plain, SHAPE)
  stack = fused.variables[FUSED_NORMS]['projectors']['projectors']
  assert stack.keys() == {'reduce', 'transform', 'expand'}
  assert_equal_outputs(fused, plain, IMAGES)


def test_fusing_again_changes_nothing(network):
  fused = fuse_norms(network(ResNet(num_classes=5, depth=8, widths=(4, 4, 8, 8))), SHAPE)
  assert fuse_norms(fused, SHAPE) is fused


def test_the_epsilon_is_fused(network):
  """Where a channel's variance is near epsilon, leaving it out would change the kernel by half."""
  plain = network(ResNet(num_classes=5, depth=8, widths=(4, 4, 8, 8)))
  statistics = jax.tree_util.tree_map_with_path(
    lambda path, leaf: leaf * 1e-5 if path[-1].key == 'var' else leaf,
    plain.variables['batch_stats'],
  )
  plain = plain.replace(variables=plain.variables | {'batch_stats': statistics})
  assert_equal_outputs(fuse_norms(plain, SHAPE), plain, IMAGES)


class NormFirst(nn.Module):
  """Named as in a `ConvNorm`, with another norm in another order."""

  @nn.compact
  def __call__(self, x, train):
    x = nn.BatchNorm(use_running_average=not train, use_scale=False, name='norm')(x)
    return nn.relu(nn.Conv(6, (3, 3), name='conv')(x))


class Own(Model):
  """A user's model in which a single layer reads fused variables, and has an epsilon of its own."""

  def setup(self):
    # `vmap` shows these layers only the collections that it names.
    stack = nn.vmap(
      ConvNorm,
      in_axes=(None, None),
      variable_axes={'params': 0, 'batch_stats': 0},
      split_rngs={'params': True},
      axis_size=2,
    )
    self.stack = stack(5, 3)
    self.conv, self.norm = nn.Conv(6, (3, 3)), nn.BatchNorm()
    self.block, self.fusible = NormFirst(), ConvNorm(6, 3, epsilon=1e-2)
    self.linear = nn.Dense(self.num_classes)

  def stages(self, image, train=False):
    TRACED.append(image.shape)
    x = jnp.mean(self.stack(image, train), axis=0)
    x = self.norm(self.conv(x), use_running_average=not train)
    return x, self.fusible(self.block(x, train), train)

  def classify(self, pooled):
    return self.linear(pooled)


TRACED = []


def test_only_layers_that_read_them_have_fused_variables(network):
  plain = network(Own(num_classes=3))
  # With the usual epsilon of 1e-5, the logits would be others by more than a half.
  small = jax.tree.map(lambda leaf: 1e-2 * leaf, plain.variables['batch_stats'])
  plain = plain.replace(variables=plain.variables | {'batch_stats': small})
  fused = fuse_norms(plain, SHAPE)
  assert fused.variables[FUSED_NORMS].keys() == {'fusible'}
  assert_equal_outputs(fused, plain, IMAGES)


def test_a_network_is_traced_once_to_find_its_layers(network):
  plain = network(Own(num_classes=4))
  TRACED.clear()
  for _ in range(2):
    fuse_norms(plain, SHAPE)
    fused_shapes(jax.eval_shape(lambda: plain), SHAPE)
  assert TRACED == [(1, *SHAPE)]
