"""A network with fused norms computes the same logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import models
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms, fused_shapes
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.nn.layers import FUSED_NORMS
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
def test_outputs_are_kept(name, network):
  plain = network(models.create(name, num_classes=5))
  fused = fuse_norms(plain)
  assert_equal_outputs(fused, plain, IMAGES)
  assert {name: fused.variables[name] for name in plain.variables} == plain.variables
  shapes, expected = (jax.eval_shape(lambda network: network, one) for one in (plain, fused))
  assert fused_shapes(shapes) == expected


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
  fused = fuse_norms(plain)
  stack = fused.variables[FUSED_NORMS]['projectors']['projectors']
  assert stack.keys() == {'reduce', 'transform', 'expand'}
  assert_equal_outputs(fused, plain, IMAGES)


def test_fusing_again_changes_nothing(network):
  fused = fuse_norms(network(ResNet(num_classes=5, depth=8, widths=(4, 4, 8, 8))))
  assert fuse_norms(fused) is fused


def test_the_epsilon_is_fused(network):
  """Where a channel's variance is near epsilon, leaving it out would change the kernel by half."""
  plain = network(ResNet(num_classes=5, depth=8, widths=(4, 4, 8, 8)))
  statistics = jax.tree_util.tree_map_with_path(
    lambda path, leaf: leaf * 1e-5 if path[-1].key == 'var' else leaf,
    plain.variables['batch_stats'],
  )
  plain = plain.replace(variables=plain.variables | {'batch_stats': statistics})
  assert_equal_outputs(fuse_norms(plain), plain, IMAGES)
