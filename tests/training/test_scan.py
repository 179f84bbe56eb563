"""Many steps in one compiled call, which is the default on accelerators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams


def member(method, trial=0, **hyperparameters):
  # Equal programs, and other numbers.
  optimizer = OptimizerHparams(learning_rate=0.05 / (1 + trial))
  return Member(method, 'tests.plain:Plain', method, hyperparameters, optimizer, trial)


@pytest.fixture(scope='module')
def stream(dataset):
  """Return batches of two of the dataset's images, six an epoch."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (dataset.num_examples, *dataset.image_shape), np.uint8)
  return ResidentSplit(images, dataset.labels).batches(
    dataset.normalisation, jax.random.key(1), batch_size=2, padding=1, flip=True
  )


@pytest.fixture(scope='module')
def cohort(assemble):
  pidkd = {'num_projectors': 2, 'factor': 4}
  return assemble(
    member('pidkd', **pidkd),
    member('crd', num_negatives=8, dimension=4),
    member('pidkd', trial=1, **pidkd),
  )


@pytest.fixture(scope='module')
def one_by_one(cohort, stream):
  """Return the states before the first step and after each of the six."""
  order = stream.order(jnp.int32(0))
  states = [cohort.init(stream.batch(order, jnp.int32(0)))]
  for step in range(stream.steps_per_epoch):
    step = jnp.int32(step)
    before = jax.tree.map(jnp.copy, states[-1])
    states.append(cohort.step(before, stream.batch(order, step), step))
  return states


@pytest.mark.parametrize(
  'look_ahead, first, count, side_by_side',
  [
    # Rounding grows from step to step, with some processors beyond the bounds within six.
    pytest.param(1, 0, 3, False, id='one batch a pass'),
    pytest.param(2, 3, 6, True, id='side by side, beyond the end of the epoch'),
  ],
)
def test_scan_equals_single_steps_but_for_rounding(
  cohort, stream, one_by_one, look_ahead, first, count, side_by_side
):
  assert cohort.stacked().names == ('pidkd-0', 'crd-0')
  order = stream.order(jnp.int32(0))
  begun = jax.tree.map(jnp.copy, one_by_one[first])
  at_once = cohorts.scan(
    cohort, begun, stream, order, jnp.int32(first), count, look_ahead, side_by_side
  )
  expected = one_by_one[min(first + count, stream.steps_per_epoch)]
  assert jax.tree.structure(at_once) == jax.tree.structure(expected)
  for ours, theirs in zip(jax.tree.leaves(at_once), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


def test_steps_beyond_the_epoch_alter_no_bit(cohort, stream, one_by_one):
  alone = cohort.subset(['crd-0'])  # It has memories beside its parameters.
  begun = {'crd-0': one_by_one[4]['crd-0']}
  order, last = stream.order(jnp.int32(1)), jnp.int32(2 * stream.steps_per_epoch - 1)
  two, six = (
    cohorts.scan(alone, jax.tree.map(jnp.copy, begun), stream, order, last, count)
    for count in (2, 6)
  )
  one = alone.step(jax.tree.map(jnp.copy, begun), stream.batch(order, last), last)
  for ours, more, theirs in zip(*map(jax.tree.leaves, (two, six, one)), strict=True):
    np.testing.assert_array_equal(ours, more)
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


def test_a_call_of_parts_of_a_pass_is_refused(cohort, stream, one_by_one):
  order = stream.order(jnp.int32(0))
  with pytest.raises(ValueError, match='5 steps are no multiple of 2'):
    cohorts.scan(cohort, one_by_one[0], stream, order, jnp.int32(0), 5, look_ahead=2)


@pytest.mark.parametrize(
  'members, expected',
  [
    (['pidkd-0'], {'target'}),
    (['crd-0'], {'pooled', 'logits'}),
    (['pidkd-0', 'crd-0'], {'target', 'pooled', 'logits'}),
  ],
  ids=['pidkd', 'crd', 'both'],
)
def test_of_a_pass_only_what_the_members_read_is_kept(cohort, stream, members, expected):
  cohort = cohort.subset(members)
  view = jax.eval_shape(Cohort.observe, cohort, stream.shapes)
  states = jax.eval_shape(Cohort.init, cohort, stream.shapes)
  paths, _ = jax.tree.flatten_with_path((view.features, view.logits))
  read = cohort.outputs_read(states, stream.shapes)
  names = {jax.tree_util.keystr(path) for (path, _), one in zip(paths, read, strict=True) if one}
  where = {'target': '[0].target', 'pooled': '[0].pooled', 'logits': '[1]'}
  assert names == {where[name] for name in expected}
  order = stream.order(jnp.int32(0))
  program = jax.make_jaxpr(
    lambda states: cohorts.scan(cohort, states, stream, order, jnp.int32(0), 6, look_ahead=3)
  )(states)
  [group] = loops(program)
  [inner] = loops(group.params['jaxpr'])
  # What the loop takes a slice of has one axis less in its body.
  body = [aval.shape for aval in inner.params['jaxpr'].in_avals]
  given = [variable.aval.shape for variable in inner.invars]
  stacked = [whole for whole, part in zip(given, body, strict=True) if whole != part]
  target, pooled = view.features.target, view.features.pooled
  kept = {'target': target.shape, 'pooled': pooled.shape, 'logits': view.logits.shape}
  batch = [(3,), (3, *stream.shapes.image.shape), (3, 2), (3, 2)]
  assert sorted(stacked) == sorted(batch + [(3, *kept[name]) for name in expected])


def loops(program):
  """Return the outermost scans of a jaxpr."""
  found = []
  for equation in program.eqns:
    if equation.primitive.name == 'scan':
      found.append(equation)
    else:
      for inner in jax.extend.core.jaxprs_in_params(equation.params):
        found += loops(inner)
  return found


def test_states_keep_their_types_where_jax_computes_in_64_bits(assemble, dataset):
  """Otherwise a loop over steps has no program, and a checkpoint none that it fits."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (dataset.num_examples, *dataset.image_shape), np.uint8)
  with jax.enable_x64(True):
    stream = ResidentSplit(images, dataset.labels).batches(
      dataset.normalisation, jax.random.key(1), batch_size=2, padding=1, flip=True
    )
    names = ('pidkd', 'crd', 'ctkd', 'norm', 'vkd')
    wide = assemble(*(member(name) for name in names))
    order = jax.eval_shape(stream.order, jnp.int32(0))
    states = jax.eval_shape(wide.init, stream.shapes)
    batch = jax.eval_shape(stream.batch, order, jnp.int32(0))
    assert batch.index.dtype == stream.shapes.index.dtype == order.dtype == jnp.int32
    after = jax.eval_shape(
      lambda states, order: cohorts.scan(wide, states, stream, order, jnp.int32(0), 2, 2),
      states,
      order,
    )
  types = [jax.tree.map(lambda leaf: leaf.dtype, tree) for tree in (states, after)]
  assert types[0] == types[1]
