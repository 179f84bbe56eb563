"""What is deployed, and its projectors by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.distilled import Distilled, apart
from pidkd_jax.types import Network
from tests.plain import Plain

IMAGE = (16, 16, 3)


@pytest.fixture(scope='module', params=['mean', 'learned'])
def distilled(request, fill):
  model = Distilled(
    num_classes=3,
    student=Plain(num_classes=3),
    teacher=Plain(num_classes=3),
    num_projectors=3,
    hidden=4,
    integration=request.param,
    target=(4, 4, 7),
    target_rectified=True,
  )
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))
  return Network(fill(shapes), model)


def test_projectors_apart_integrate_to_the_whole(distilled):
  image = jnp.asarray(np.random.default_rng(0).normal(size=(5, *IMAGE)), jnp.float32)
  alone = np.stack([one.encode(image).target for one in apart(distilled)])
  assert alone.shape == (3, 5, 4, 4, 7)
  weights = np.full(3, 1 / 3)
  if distilled.model.integration == 'learned':
    logits = distilled.variables['params']['projectors']['integrate']['logits']
    weights = np.asarray(jax.nn.softmax(logits))
  whole = distilled.encode(image).target
  np.testing.assert_allclose(np.tensordot(weights, alone, 1), whole, rtol=1e-5, atol=1e-6)
  # They differ, so that mixing them up would show.
  assert np.abs(alone - whole).mean() > 0.05


def test_one_apart_holds_no_more_than_it_needs(distilled):
  [one, *_] = apart(distilled)
  shapes = jax.eval_shape(one.model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))
  assert jax.tree.map(jnp.shape, one.variables) == jax.tree.map(lambda leaf: leaf.shape, shapes)
