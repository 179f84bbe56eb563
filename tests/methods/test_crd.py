"""Contrastive representation distillation on a bank of twelve."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.methods.crd import Side, negatives
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.training.checkpoint import Checkpoints
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams
from tests.given import Examples

# Of another momentum than 1/2, which would not tell the old from the new.
CHOSEN = {'num_negatives': 20, 'dimension': 8, 'momentum': 0.7}


def pooled(*shape, seed):
  made = jax.device_put(np.random.default_rng(seed).normal(size=shape).astype(np.float32))
  return Features((), (), made[:, None, None], made)


@pytest.fixture(scope='module')
def step(dataset):
  """A function that gives one batch of three to the method: variables -> terms, variables after.

  Without variables it initialises them.
  """
  method = methods.create('crd', weight=2.0, **CHOSEN)(student=None, target=None, dataset=dataset)
  batch = Batch(None, jnp.array([1, 0, 2]), jnp.array([4, 9, 2]))
  ours, theirs = pooled(3, 5, seed=1), pooled(3, 7, seed=2)
  given = ours, TeacherOutputs(None, theirs, None), batch, jnp.int32(0)

  rngs = {'params': jax.random.key(7), 'method': jax.random.key(0)}
  first = jax.jit(lambda: method.init_with_output(rngs, *given, method='terms'))()

  def step(variables=None, key=0):
    if variables is None:
      return first
    rngs = {'method': jax.random.key(key)}
    return method.apply(variables, *given, method='terms', rngs=rngs, mutable=['memory'])

  step.batch, step.features = batch, {'student': ours.pooled, 'teacher': theirs.pooled}
  return step


def bank(variables, side):
  return np.asarray(variables['memory'][f'{side}_side']['embeddings'], np.float64)


def count(drawn, size):
  """Places [B, M] as numbers of draws [B, N]."""
  return np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float32)


def embedded(variables, side, feature):
  layer = variables['params'][f'{side}_side']['linear']
  made = np.asarray(feature, np.float64) @ np.asarray(layer['kernel']) + np.asarray(layer['bias'])
  return made / np.linalg.norm(made, axis=1, keepdims=True)


# --- the loss


def test_contrast_by_hand(step, monkeypatch):
  """As the paper writes it, with the drawn negatives given."""
  drawn = np.random.default_rng(5).integers(0, 12, (3, 20))
  monkeypatch.setattr('pidkd_jax.methods.crd.negatives', lambda *_: count(drawn, 12))
  _, variables = step()
  terms, after = step(variables)
  index = np.concatenate([np.asarray(step.batch.index)[:, None], drawn], axis=1)
  for side, other in (('student', 'teacher'), ('teacher', 'student')):
    v = embedded(variables, side, step.features[side])
    h = np.exp(np.einsum('bd,bkd->bk', v, bank(variables, other)[index]) / 0.07)
    z = h.mean() * 12
    np.testing.assert_allclose(
      after['memory'][f'{other}_side']['log_normalizer'], np.log(z), rtol=1e-4
    )
    noise = 20 / 12
    is_true = h / z / (h / z + noise)
    expected = -np.log(is_true[:, 0]) - np.log(1 - is_true[:, 1:]).sum(axis=1)
    np.testing.assert_allclose(terms[f'{side}_contrast'], 2 * expected, rtol=1e-3)


def test_the_normaliser_is_that_of_the_first_batch(step):
  _, variables = step()
  assert np.isneginf(variables['memory']['student_side']['log_normalizer'])
  memory = [variables['memory']]
  for key in (1, 2):
    memory.append(step(variables | {'memory': memory[-1]}, key=key)[1]['memory'])
  first, second = (made['student_side']['log_normalizer'] for made in memory[1:])
  assert np.isfinite(first) and first == second


def test_the_normaliser_is_a_constant_to_the_gradient(step):
  """Of the batch that fixes it as of any later one."""
  _, variables = step()
  fixed = step(variables)[1]['memory']
  later = {
    side: memory | {'log_normalizer': fixed[side]['log_normalizer']}
    for side, memory in variables['memory'].items()
  }

  def total(params, memory):
    terms, _ = step({'params': params, 'memory': memory})
    return sum(jnp.sum(term) for term in terms.values())

  gradients = [jax.grad(total)(variables['params'], m) for m in (variables['memory'], later)]
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), *gradients)


def test_the_loss_is_finite_far_from_equilibrium():
  """Similarities of 1 and -1 at a temperature so small that their exponentials are not."""
  side = Side(num_examples=4, dimension=2, fan_in=3)
  variables = side.init(jax.random.key(0), jnp.zeros((2, 3)), method='embed')
  memory = {'embeddings': jnp.array([[1.0, 0], [-1, 0], [0, 1], [0, 1]]), 'log_normalizer': 0.0}

  def total(v):
    made = side.apply(
      variables | {'memory': memory},
      v,
      jnp.array([0, 1]),
      count([[1, 1], [0, 0]], 4),
      0.001,
      method='contrast',
      mutable=['memory'],
    )[0]
    return made.sum()

  value, gradient = jax.value_and_grad(total)(jnp.array([[1.0, 0], [1, 0]]))
  assert np.isfinite(value) and np.all(np.isfinite(gradient))
  # The first is told perfectly; the second is far from itself and at both of its negatives.
  np.testing.assert_allclose(value, 1000 + 2 * 1000, rtol=1e-2)


# --- the memory


def test_a_batch_updates_its_own_rows_and_they_keep_their_length(step):
  _, variables = step()
  index = np.asarray(step.batch.index)
  _, after = step(variables)
  for side in ('student', 'teacher'):
    before, now = bank(variables, side), bank(after, side)
    np.testing.assert_allclose(np.linalg.norm(before, axis=1), 1, rtol=1e-5)
    others = np.setdiff1d(np.arange(12), index)
    np.testing.assert_array_equal(now[others], before[others])
    mixed = 0.7 * before[index] + 0.3 * embedded(variables, side, step.features[side])
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    np.testing.assert_allclose(now[index], mixed, rtol=1e-3, atol=1e-5)


def test_no_gradient_flows_into_what_is_remembered(step):
  _, variables = step()

  def remembered(params):
    _, after = step(variables | {'params': params})
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(after))

  gradient = jax.grad(remembered)(variables['params'])
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_the_collection_starts_at_random_and_differs_by_side(step):
  _, variables = step()
  assert np.any(bank(variables, 'student') != bank(variables, 'teacher'))
  assert variables['memory'].keys() == {'student_side', 'teacher_side'}


# --- the negatives


@pytest.mark.parametrize('labels', [np.arange(12) % 3, np.array([2, 0, 0, 0, 1, 2, 0, 2])])
def test_negatives_are_of_other_classes_and_each_as_likely(labels):
  label = jnp.array([0, 1, 2, 0])
  drawn = np.asarray(negatives(jax.random.key(0), labels, label, 6000))
  assert drawn.shape == (4, len(labels))
  np.testing.assert_array_equal(drawn.sum(axis=1), 6000)
  for counts, own in zip(drawn, label):
    assert not np.any(counts[labels == own])
    others = labels != own
    np.testing.assert_allclose(counts[others], 6000 / others.sum(), rtol=0.15)
  # Each image draws for itself.
  assert np.any(drawn[0] != drawn[3])


def test_negatives_come_from_the_methods_random_stream(step, monkeypatch):
  seen = []

  def record(key, *rest):
    seen.append(negatives(key, *rest))
    return seen[-1]

  monkeypatch.setattr('pidkd_jax.methods.crd.negatives', record)
  _, variables = step()
  for key in (1, 1, 2):
    step(variables, key=key)
  np.testing.assert_array_equal(seen[0], seen[1])
  assert np.any(seen[0] != seen[2])


def test_a_held_out_image_is_in_no_memory(dataset):
  """The memory is that of the images which are trained on, and places are counted among them."""
  images = np.zeros((12, 8, 8, 3), np.uint8)
  whole = Dataset(
    dataset, ResidentSplit(images, dataset.labels), ResidentSplit(images[:3], dataset.labels[:3])
  )
  rest, _ = whole.hold_out(0.3, seed=0)
  method = methods.create('crd', **CHOSEN)(student=None, target=None, dataset=rest.spec)
  place = len(rest.train) - 1
  batch = Batch(None, jnp.asarray(rest.train.labels[[place]]), jnp.array([place]))
  given = (
    pooled(1, 5, seed=1),
    TeacherOutputs(None, pooled(1, 7, seed=2), None),
    batch,
    jnp.int32(0),
  )
  rngs = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  variables = jax.jit(lambda: method.init(rngs, *given, method='terms'))()
  assert bank(variables, 'student').shape == (len(rest.train), 8) and len(rest.train) == 9
  rngs = {'method': jax.random.key(2)}
  apply = functools.partial(method.apply, method='terms', rngs=rngs, mutable=['memory'])
  _, after = jax.jit(lambda variables: apply(variables, *given))(variables)
  changed = np.any(bank(after, 'teacher') != bank(variables, 'teacher'), axis=1)
  np.testing.assert_array_equal(np.flatnonzero(changed), [place])


def test_more_negatives_than_images_are_drawn_with_replacement():
  drawn = negatives(jax.random.key(0), np.array([0, 0, 1]), jnp.array([0]), 16384)
  np.testing.assert_array_equal(drawn, [[0, 0, 16384]])


def test_one_class_has_no_negatives():
  with pytest.raises(UserError, match='all examples are of one'):
    negatives(jax.random.key(0), np.zeros(5, int), jnp.array([0]), 3)


# --- in training


@pytest.fixture(scope='module')
def cohort(assemble):
  return assemble(Member('crd', 'tests.plain:Plain', 'crd', CHOSEN, OptimizerHparams(), 0))


def test_it_resumes_exactly(cohort, train, tmp_path, batches):
  three = train(cohort, range(3))
  memory = three['crd-0'].collections['memory']
  assert np.isfinite(memory['student_side']['log_normalizer'])
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(3, three, {})
  checkpoints.wait()
  checkpoints.close()
  checkpoints = Checkpoints(tmp_path)
  _, restored, _ = checkpoints.restore(jax.eval_shape(lambda: three))
  checkpoints.close()
  same = functools.partial(jax.tree.map, np.testing.assert_array_equal)
  same(restored, three)
  same(train(cohort, range(3, 6), restored), train(cohort, range(6)))


def test_initialisation_leaves_the_memory_as_it_starts(cohort, train):
  memory = train(cohort, [])['crd-0'].collections['memory']
  assert np.isneginf(memory['student_side']['log_normalizer'])
  np.testing.assert_allclose(
    jnp.linalg.norm(memory['teacher_side']['embeddings'], axis=1), 1, rtol=1e-5
  )


def test_it_is_traced_in_float64_too():
  """Its memory keeps the type with which it began, so that a step can follow a step."""
  method = methods.create('crd', **CHOSEN)(
    student=None, target=None, dataset=Examples.of(12, num_classes=3)
  )
  batch = Batch(None, jnp.array([1, 0, 2]), jnp.array([4, 9, 2]))
  given = pooled(3, 5, seed=1), TeacherOutputs(None, pooled(3, 7, seed=2), None), batch
  rngs = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  with jax.enable_x64(True):
    init = functools.partial(method.init, method='terms')
    variables = jax.eval_shape(init, rngs, *given, jnp.int32(0))
    step = functools.partial(method.apply, method='terms', mutable=['memory'], rngs=rngs)
    _, changed = jax.eval_shape(step, variables, *given, jnp.int32(1))
  assert changed['memory'] == variables['memory']
