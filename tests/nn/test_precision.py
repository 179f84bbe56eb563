"""The formats of each precision, and the arrays that are float32 in all of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from pidkd_jax import methods, models
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import precision
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import loss as loss_of
from pidkd_jax.training.step import observe
from tests.families import SMALL, shorten
from tests.given import Given

FULL, HALF = jnp.dtype('float32'), jnp.dtype('bfloat16')
PRODUCTS = ('conv_general_dilated', 'dot_general')


def equations(program):
  """Yield the equations of a jaxpr and of those within it."""
  for equation in program.eqns:
    yield equation
    for inner in core.jaxprs_in_params(equation.params):
      yield from equations(inner)


def products(program):
  return [eqn for eqn in equations(program.jaxpr) if eqn.primitive.name in PRODUCTS]


def types(tree):
  return {leaf.dtype for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize('name', SMALL.values())
def test_a_network_computes_in_the_type_of_its_images(name, monkeypatch):
  shorten(monkeypatch)
  model = models.create(name, num_classes=3)
  image = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.bfloat16)
  variables = jax.eval_shape(model.init, jax.random.key(0), image)
  assert types(variables) == {FULL}

  def encode(variables, image):
    return model.apply(variables, image, train=True, method='encode', mutable=['batch_stats'])

  program, (features, changed) = jax.make_jaxpr(encode, return_shape=True)(variables, image)
  assert types((features.stages, features.preactivations, features.target)) == {HALF}
  assert features.pooled.dtype == jnp.float32
  assert types(changed) <= {FULL}  # Without BatchNorm there is none.
  assert {operand.aval.dtype for product in products(program) for operand in product.invars} == {
    HALF
  }


@pytest.mark.parametrize('name', methods.names())
def test_the_state_and_the_losses_are_float32(name, assemble, batches):
  cohort = assemble(Member(name, 'tests.plain:Plain', name, {}, OptimizerHparams(), 0))
  half = batches[0].replace(image=batches[0].image.astype(jnp.bfloat16))
  teacher = jax.eval_shape(observe, cohort.teacher, half)
  [state] = jax.eval_shape(type(cohort).init, cohort, half).values()
  floats = {dtype for dtype in types(state) if jnp.issubdtype(dtype, jnp.floating)}
  assert floats == {FULL}

  def loss(params, collections, batch, teacher):
    return loss_of(cohort.by_name[f'{name}-0'], params, collections, batch, teacher, jnp.int32(0))

  terms = jax.eval_shape(loss, state.params, state.collections, half, teacher)[1][0]
  assert types(terms) == {FULL}


def test_projectors_compute_in_bfloat16_and_are_integrated_in_float32(assemble, batches):
  cohort = assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', {}, OptimizerHparams(), 0))
  half = batches[0].replace(image=batches[0].image.astype(jnp.bfloat16))
  [state] = jax.eval_shape(type(cohort).init, cohort, half).values()
  teacher = jax.eval_shape(observe, cohort.teacher, half)

  def loss(params, collections, batch, teacher):
    return loss_of(cohort.by_name['pidkd-0'], params, collections, batch, teacher, jnp.int32(0))

  program = jax.make_jaxpr(loss)(state.params, state.collections, half, teacher)
  # The student has three convolutions, and the stack has three.
  assert [eqn.invars[0].aval.dtype for eqn in products(program)] == 6 * [HALF]


def test_the_normaliser_is_computed_in_float32(dataset):
  """The mean square of a bfloat16 target would be off by up to 1/256 of its value."""
  rng = np.random.default_rng(0)
  target = jnp.asarray(np.abs(rng.normal(size=(4, 2, 2, 6))), HALF)
  image = jnp.asarray(rng.normal(size=(4, 2, 2, 5)), HALF)
  features = Features((target,), (target,), target, jnp.mean(target.astype(FULL), (1, 2)))
  losses = {}
  for normalize in (True, False):
    method = methods.create('pidkd', normalize=normalize)(
      student=Given(), target=features, dataset=dataset
    )
    index = jnp.zeros(4, jnp.int32)
    given = Batch(image, index, index), TeacherOutputs(None, features, None)
    init = functools.partial(method.init_with_output, method='loss')
    terms, _ = jax.jit(init)(jax.random.key(0), *given, progress=jnp.float32(1))
    losses[normalize] = np.mean(terms['feature'])
  mean_square = np.mean(np.square(np.asarray(target, np.float64)))
  np.testing.assert_allclose(losses[False] / losses[True], mean_square, rtol=1e-5)


@pytest.fixture(scope='module')
def full(assemble, train):
  """A few steps in float32."""
  cohort = assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', {}, OptimizerHparams(), 0))
  [state] = train(cohort, range(3)).values()
  return cohort, state


@pytest.mark.parametrize('name', [name for name in precision.PRECISIONS if name != 'float32'])
def test_losses_are_near_those_of_float32(name, full, batches):
  """bfloat16 has 8 bits, so after a few steps its loss differs by a few per cent."""
  chosen = precision.find(name)
  cohort, in_float32 = full
  states = cohort.init(batches[0])
  with chosen.scope():
    for step, batch in enumerate(batches[:3]):
      states = cohort.step(
        states, batch.replace(image=batch.image.astype(chosen.dtype)), jnp.int32(step)
      )
  [state] = states.values()
  assert types(state.params) == types(state.opt_state) == {FULL}
  np.testing.assert_allclose(
    state.loss_sums['loss'], in_float32.loss_sums['loss'], rtol=0.05 if name == 'bfloat16' else 1e-6
  )


def test_float32_products_are_exact_except_in_tf32():
  x = jnp.ones((2, 2))
  settings = {}
  for name, chosen in precision.PRECISIONS.items():
    with chosen.scope():
      [product] = products(jax.make_jaxpr(jnp.dot)(x, x))
    settings[name] = product.params['precision'][0]
  highest, high = jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGH
  assert settings == {'float32': highest, 'tf32': high, 'bfloat16': highest}


def test_no_two_precisions_are_equal():
  assert len(set(precision.PRECISIONS.values())) == 3


def test_an_unknown_precision_names_the_known_ones():
  with pytest.raises(UserError, match="unknown precision 'bf16'; .*bfloat16, float32, tf32"):
    precision.find('bf16')
