"""A joined stack of projectors says what the stack says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.types import Network
from pidkd_jax.models import norm_fusion, projector_fusion
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.nn import layers

IMAGES = np.random.default_rng(2).normal(size=(2, 8, 8, 3)).astype(np.float32)


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
  joined = projector_fusion.fuse_projectors(plain)
  found, expected = (jax.jit(Network.encode)(one, IMAGES).target for one in (joined, plain))
  assert bool(jnp.any(expected < 0)) != rectified
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_one_function_runs_once(network):
  """Convolutions of the projectors: 1 + 3 + 3 behind a ReLU, and 1 + 3 + 1 without."""
  encoder = (
    len(jax.tree.leaves(norm_fusion.fuse_norms(network('mean', True)).variables['folded'])) // 2 - 3
  )
  for rectified, expected in ((True, 7), (False, 5)):
    joined = projector_fusion.fuse_projectors(network('mean', rectified))
    jaxpr = str(jax.make_jaxpr(lambda image, one=joined: one.encode(image).target)(IMAGES))
    assert jaxpr.count('conv_general_dilated[') == encoder + expected


def test_other_networks_are_only_folded(teacher):
  assert layers.FUSED_PROJECTORS not in projector_fusion.fuse_projectors(teacher).variables
  assert layers.FUSED_NORMS in projector_fusion.fuse_projectors(teacher).variables
