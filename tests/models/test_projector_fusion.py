"""Fused projectors compute the map that the stack computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network
from pidkd_jax.models.norm_fusion import fuse_norms
from pidkd_jax.models.projector_fusion import fuse_projectors
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.nn.projectors import FUSED_PROJECTORS

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(2).normal(size=(2, *SHAPE)).astype(np.float32)


@pytest.fixture
def network(fill):
  """A function that makes a student of three projectors with random variables."""

  def network(integration, rectified):
    student, teacher = (ResNet(num_classes=3, depth=8, widths=(4, 4, 8, w)) for w in (8, 12))
    model = Distilled(
      num_classes=3,
      student=student,
      teacher=teacher,
      num_projectors=3,
      hidden=5,
      integration=integration,
      target=(2, 2, 12),
      target_rectified=rectified,
    )
    return Network(fill(jax.eval_shape(model.init, jax.random.key(0), IMAGES)), model)

  return network


@pytest.mark.parametrize(
  ('integration', 'rectified'), [('mean', True), ('learned', True), ('learned', False)]
)
def test_the_target_map_is_kept(network, integration, rectified):
  plain = network(integration, rectified)
  fused = fuse_projectors(plain, SHAPE)
  actual, expected = (jax.jit(Network.encode)(each, IMAGES).target for each in (fused, plain))
  assert bool(jnp.any(expected < 0)) != rectified
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_shared_convolutions_run_once(network):
  """Convolutions of the projectors: 1 + 3 + 3 behind a ReLU, and 1 + 3 + 1 without."""
  # Each fused convolution has two leaves; the projectors' three are stacked.
  norms = fuse_norms(network('mean', True), SHAPE).variables[FUSED_NORMS]
  encoder = len(jax.tree.leaves(norms)) // 2 - 3
  for rectified, expected in ((True, 7), (False, 5)):
    fused = fuse_projectors(network('mean', rectified), SHAPE)
    jaxpr = str(jax.make_jaxpr(lambda image, fused=fused: fused.encode(image).target)(IMAGES))
    # On CPU a 1x1 convolution is a product.
    products = jaxpr.count('conv_general_dilated[') + jaxpr.count('dot_general[')
    assert products == encoder + expected


def test_of_other_networks_only_the_norms_are_fused(teacher):
  assert FUSED_PROJECTORS not in fuse_projectors(teacher, SHAPE).variables
  assert FUSED_NORMS in fuse_projectors(teacher, SHAPE).variables
