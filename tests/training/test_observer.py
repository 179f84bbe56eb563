"""A frozen teacher whose variables are in the type of the batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.models import norm_fusion
from pidkd_jax.models.network import Network
from pidkd_jax.nn.layers import FUSED_NORMS
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.observer import observer
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe
from tests.plain import Plain

FULL, HALF = jnp.dtype('float32'), jnp.dtype('bfloat16')


@pytest.fixture(scope='module')
def frozen(fill):
  model = Plain(num_classes=3)
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  return norm_fusion.fuse_norms(Network(fill(shapes), model), (8, 8, 3))


@pytest.fixture(scope='module')
def half(batches):
  return batches[0].replace(image=batches[0].image.astype(HALF))


@pytest.fixture(scope='module')
def cohort(frozen, dataset, half):
  return cohorts.assemble(
    [Member('pidkd', 'tests.plain:Plain', 'pidkd', {}, OptimizerHparams(), 0)],
    teacher=frozen,
    dataset=dataset,
    image=half.image,
    optimizer=Optimizer(3, (), 0.1, 0.9),
    key=jax.random.key(0),
  )


def test_folded_weights_and_biases_are_cast_and_nothing_else(frozen, cohort):
  assert {leaf.dtype for leaf in jax.tree.leaves(frozen)} == {FULL}
  cast = dict(cohort.observer.variables)
  assert {leaf.dtype for leaf in jax.tree.leaves(cast.pop(FUSED_NORMS))} == {HALF}
  assert {leaf.dtype for leaf in jax.tree.leaves(cast)} == {FULL}


def test_the_outputs_are_those_of_a_cast_at_each_step_bit_for_bit(frozen, cohort, half):
  ours, theirs = cohort.observe(half), observe(frozen, half)
  for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


def test_no_step_casts_a_weight(frozen, cohort, half):
  def casts(teacher):
    program = jax.make_jaxpr(teacher.encode)(half.image)
    return str(program).count('convert_element_type[new_dtype=bfloat16')

  assert casts(frozen) - casts(cohort.observer) == 2 * 3  # Kernel and bias of three layers.


def test_methods_and_what_is_deployed_have_the_float32_teacher(frozen, cohort, half):
  assert cohort.teacher is frozen
  assert cohort.observe(half).network is frozen
  [state] = jax.eval_shape(type(cohort).init, cohort, half).values()
  deployed = cohort.deployed('pidkd-0', state)
  assert {leaf.dtype for leaf in jax.tree.leaves(deployed)} == {FULL}


def test_float32_has_one_form(frozen, batches):
  assert observer(frozen, batches[0].image) is None


def test_shapes_give_shapes(frozen, half):
  shapes = jax.eval_shape(lambda: frozen)
  form = observer(shapes, half.image)
  assert form.variables[FUSED_NORMS] == jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, HALF), shapes.variables[FUSED_NORMS]
  )


class Shared(Plain):
  """A network whose first kernel is also read in float32."""

  def classify(self, pooled):
    kernel = self.convolutions[0].variables['params']['conv']['kernel']
    return self.classifier(pooled) + jnp.sum(kernel)


def test_a_variable_that_is_read_in_both_types_keeps_its_own(half):
  model = Shared(num_classes=3)
  teacher = Network(jax.jit(model.init)(jax.random.key(0), half.image), model)
  kernels = [
    leaf.dtype
    for path, leaf in jax.tree.leaves_with_path(observer(teacher, half.image).variables)
    if 'kernel' in jax.tree_util.keystr(path)
  ]
  assert kernels == [FULL, FULL, HALF, HALF]  # The classifier's, then those of the layers.
