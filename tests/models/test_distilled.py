"""The deployed form of a student, and its projectors split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.core.types import Batch
from pidkd_jax.models.distilled import Distilled, split_projectors
from pidkd_jax.models.network import Network
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
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


def test_split_projectors_integrate_to_the_whole(distilled):
  image = jnp.asarray(np.random.default_rng(0).normal(size=(5, *IMAGE)), jnp.float32)
  split = np.stack([each.encode(image).target for each in split_projectors(distilled)])
  assert split.shape == (3, 5, 4, 4, 7)
  weights = np.full(3, 1 / 3)
  if distilled.model.integration == 'learned':
    logits = distilled.variables['params']['projectors']['integrate']['logits']
    weights = np.asarray(jax.nn.softmax(logits))
  whole = distilled.encode(image).target
  np.testing.assert_allclose(np.tensordot(weights, split, 1), whole, rtol=1e-5, atol=1e-6)
  # They differ, so that mixing them up would show.
  assert np.abs(split - whole).mean() > 0.05


def test_a_split_network_holds_no_more_than_it_needs(distilled):
  [first, *_] = split_projectors(distilled)
  shapes = jax.eval_shape(first.model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))
  assert jax.tree.map(jnp.shape, first.variables) == jax.tree.map(lambda leaf: leaf.shape, shapes)


@pytest.mark.parametrize('depth', [0, 1])
def test_a_student_that_is_its_teachers_very_module_leaves_the_classifier_there(depth):
  def shapes(student, teacher):
    for _ in range(depth):
      teacher = Distilled(3, Plain(3), teacher, 2, 4, 'mean', (4, 4, 7), True)
    model = Distilled(3, student, teacher, 2, 4, 'mean', (4, 4, 7), True)
    return model, jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))

  one = Plain(3)
  (model, shared), (other, apart) = shapes(one, one), shapes(Plain(3), Plain(3))
  assert shared == apart and model == other
  assert 'classifier' not in shared['params']['student']
  assert jax.eval_shape(model.clone().init, jax.random.key(0), jnp.zeros((1, *IMAGE))) == apart


def test_it_teaches_a_student_and_passes_on_its_own_teachers_classifier(distilled, dataset):
  image = jax.ShapeDtypeStruct((4, *IMAGE), jnp.float32)
  integer = jax.ShapeDtypeStruct((4,), jnp.int32)
  cohort = cohorts.assemble(
    [
      Member(name, 'tests.plain:Plain', name, {}, OptimizerHparams(), 0)
      for name in ('pidkd', 'simkd', 'kd_1_1')
    ],
    teacher=distilled,
    dataset=dataset,
    image=image,
    optimizer=Optimizer(3, (6, 9), 0.1, 0.9),
    key=jax.random.key(0),
  )
  states = jax.eval_shape(Cohort.init, cohort, Batch(image, integer, integer))
  first = distilled.variables['params']['teacher']
  for name, state in states.items():
    network = cohort.network(name, state.variables)
    logits = jax.eval_shape(lambda n, x: n.classify(n.encode(x).pooled), network, image)
    assert logits.shape == (4, 3)
    if network.model.aligned:
      assert network.model.target == distilled.model.target
      handed_on = network.variables['params']['teacher']['teacher']
      assert jax.tree.all(jax.tree.map(lambda a, b: a is b, handed_on, first))
