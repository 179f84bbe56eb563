"""Projector integration with the teacher's classifier, by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network
from pidkd_jax.nn import resize
from pidkd_jax.nn.layers import Classifier, ConvNorm
from pidkd_jax.nn.projectors import ProjectorStack
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe


class Strided(Model):
  """One convolution; its stride decides the size of the map."""

  stride: int
  channels: int

  def setup(self):
    self.conv = ConvNorm(self.channels, 3, self.stride)
    self.classifier = Classifier(self.num_classes)

  def trunk(self, image, train):
    before = self.conv(image, train)
    after = jax.nn.relu(before) if self.rectified else before
    return (after,), (before,)

  def classify(self, pooled):
    return self.classifier(pooled)


class Raw(Strided):
  """Its target map is not behind a ReLU."""

  rectified = False


class PreActivation(Strided):
  """Its stage is a raw sum, which its head activates."""

  def trunk(self, image, train):
    raw = self.conv(image, train)
    return (raw,), (raw,)

  def head(self, last, train=False):
    return jax.nn.relu(last)

  def distillation_map(self, last, train=False):
    return self.head(last, train)


def make_network(fill, model, side):
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
  return Network(fill(shapes), model)


def make_batch(side):
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.normal(size=(4, side, side, 3)), jnp.float32)
  return Batch(image, jnp.array([0, 1, 2, 0]), jnp.arange(4))


def make_method(dataset, teacher, student, batch, name='pidkd', **chosen):
  target = jax.eval_shape(teacher.encode, batch.image)
  return methods.create(name, **chosen)(student=student, target=target, dataset=dataset)


def initial(fill, method, batch, teacher):
  """Random variables of a method, statistics included."""
  seen = jax.eval_shape(observe, teacher, batch)
  init = functools.partial(method.init, method='loss')
  return fill(jax.eval_shape(init, jax.random.key(0), batch, seen, progress=jnp.float32(1)), seed=1)


def part(variables, name):
  return {collection: tree[name] for collection, tree in variables.items()}


CASES = {  # student's stride, teacher's, side of the image, common side of the maps
  'larger': (1, 2, 8, 4),
  'smaller': (2, 1, 8, 4),
  'equal': (2, 2, 8, 4),
  'larger, not dividing': (1, 2, 9, 5),
  'smaller, not dividing': (2, 1, 9, 5),
}


@pytest.mark.parametrize(
  'case, integration',
  [*((case, 'mean') for case in CASES), ('larger, not dividing', 'learned')],
)
def test_loss_and_inference_by_hand(case, integration, fill, dataset):
  student_stride, teacher_stride, side, common = CASES[case]
  batch = make_batch(side)
  teacher = make_network(fill, Strided(3, stride=teacher_stride, channels=6), side)
  student = PreActivation(3, stride=student_stride, channels=5)
  method = make_method(
    dataset,
    teacher,
    student,
    batch,
    weight=2.5,
    normalize=False,
    factor=3,
    num_projectors=3,
    integration=integration,
  )
  variables = initial(fill, method, batch, teacher)
  own = part(variables, 'student')
  stack = ProjectorStack(6, 3, 2, integration)
  weights = np.full(3, 1 / 3)
  if integration == 'learned':
    logits = np.asarray(variables['params']['projectors']['integrate']['logits'], np.float64)
    weights = np.exp(logits) / np.exp(logits).sum()

  @functools.partial(jax.jit, static_argnums=0)
  def stacked(train):
    [raw], _ = student.apply(
      own, batch.image, train=train, method='stages', mutable=['batch_stats']
    )
    outputs, _ = stack.apply(
      part(variables, 'projectors'),
      resize.average_to(jax.nn.relu(raw), (common, common)),
      train=train,
      method='outputs',
      mutable=['batch_stats'],
    )
    return outputs

  def integrated(train):
    return np.tensordot(weights, stacked(train), axes=1)

  seen = observe(teacher, batch)
  terms, _ = jax.jit(functools.partial(method.apply, method='loss', mutable=['batch_stats']))(
    variables, batch, seen, progress=jnp.float32(1)
  )
  z = integrated(train=True)
  z_t = np.asarray(resize.average_to(seen.features.target, (common, common)))
  assert z.shape == z_t.shape == (4, common, common, 6)
  assert terms.keys() == {'feature'}
  np.testing.assert_allclose(
    terms['feature'], 2.5 * np.mean((z - z_t) ** 2, axis=(1, 2, 3)), rtol=1e-4
  )

  network = method.deployed(variables, teacher)
  classifier = teacher.variables['params']['classifier']['linear']
  pooled = integrated(train=False).mean(axis=(1, 2))
  np.testing.assert_allclose(
    jax.jit(network.model.apply)(network.variables, batch.image),
    pooled @ classifier['kernel'] + classifier['bias'],
    rtol=1e-4,
    atol=1e-5,
  )


@functools.partial(jax.jit, static_argnums=0)
def terms_of(method, variables, batch, seen, progress):
  apply = functools.partial(method.apply, method='loss', mutable=['batch_stats'])
  return apply(variables, batch, seen, progress=progress)[0]


@functools.partial(jax.jit, static_argnums=0)
def outputs_of(student, variables, image):
  """The outputs of three projectors."""
  options = {'train': True, 'mutable': ['batch_stats']}
  [z], _ = student.apply(part(variables, 'student'), image, method='stages', **options)
  own = part(variables, 'projectors')
  return ProjectorStack(6, 3, 2).apply(own, z, method='outputs', **options)[0]


def by_hand(fill, dataset, progress=0.25, **chosen):
  """The feature loss [B] of three projectors, their outputs [3, B, H, W, C] and the target."""
  batch = make_batch(8)
  teacher = make_network(fill, Strided(3, stride=2, channels=6), 8)
  student = Strided(3, stride=2, channels=5)
  chosen = {'weight': 1.0, 'normalize': False} | chosen
  method = make_method(dataset, teacher, student, batch, factor=3, **chosen)
  variables = initial(fill, method, batch, teacher)
  seen = observe(teacher, batch)
  terms = terms_of(method, variables, batch, seen, jnp.float32(progress))
  outputs = outputs_of(student, variables, batch.image)
  return terms['feature'], np.asarray(outputs, np.float64), np.asarray(seen.features.target)


def test_separate_projectors_each_imitate_the_target(fill, dataset):
  loss, outputs, target = by_hand(fill, dataset, separate=True)
  expected = np.mean((outputs - target) ** 2, axis=(0, 2, 3, 4))
  np.testing.assert_allclose(loss, expected, rtol=1e-4)
  # More than the loss of their mean, by their variance.
  together, _, _ = by_hand(fill, dataset)
  variance = outputs.var(axis=0).mean(axis=(1, 2, 3))
  np.testing.assert_allclose(loss - together, variance, rtol=1e-3)


def test_a_normalized_error_is_in_units_of_the_targets_mean_square(fill, dataset):
  loss, outputs, target = by_hand(fill, dataset, normalize=True, weight=4.0)
  error = np.mean((outputs.mean(axis=0) - target) ** 2, axis=(1, 2, 3))
  np.testing.assert_allclose(loss, 4 * error / np.mean(target**2), rtol=1e-4)


def test_the_weight_warms_up(fill, dataset):
  full, _, _ = by_hand(fill, dataset)
  for progress, share in ((0.125, 0.25), (0.25, 0.5), (0.5, 1.0), (0.75, 1.0)):
    loss, _, _ = by_hand(fill, dataset, progress=progress, warmup=0.5)
    np.testing.assert_allclose(loss, share * full, rtol=1e-5)


@pytest.mark.parametrize('separate', [False, True])
def test_labels_beside_the_map_by_hand(separate, fill, dataset):
  batch = make_batch(8)
  teacher = make_network(fill, Strided(3, stride=2, channels=6), 8)
  student = Strided(3, stride=2, channels=5)
  make = functools.partial(
    make_method, dataset, teacher, student, batch, factor=3, separate=separate
  )
  plain, labelled = make(), make(name='pidkd_labels', label_weight=2.5)
  variables = initial(fill, plain, batch, teacher)
  seen = observe(teacher, batch)
  terms, expected = (
    terms_of(method, variables, batch, seen, jnp.float32(1)) for method in (labelled, plain)
  )
  assert terms.keys() == {'feature', 'cross_entropy'}
  np.testing.assert_allclose(terms['feature'], expected['feature'], rtol=1e-6)

  outputs = np.asarray(outputs_of(student, variables, batch.image), np.float64)
  classifier = teacher.variables['params']['classifier']['linear']
  logits = outputs.mean(axis=(0, 2, 3)) @ classifier['kernel'] + classifier['bias']
  likelihood = np.exp(logits)[range(4), batch.label] / np.exp(logits).sum(axis=-1)
  np.testing.assert_allclose(terms['cross_entropy'], -2.5 * np.log(likelihood), rtol=1e-4)


def test_weights_cannot_be_learned_where_no_loss_depends_on_them(assemble, batches):
  chosen = {'integration': 'learned', 'separate': True}
  cohort = assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', chosen, OptimizerHparams(), 0))
  with pytest.raises(UserError, match='separate is True.*take integration'):
    cohort.init(batches[0])


def test_the_wide_projector_is_as_large_as_the_stack(fill, dataset):
  batch = make_batch(8)
  teacher = make_network(fill, Strided(3, stride=2, channels=60), 8)
  student = Strided(3, stride=2, channels=20)

  def deployed(name, **chosen):
    target = jax.eval_shape(teacher.encode, batch.image)
    made = methods.create(name, **chosen)(student=student, target=target, dataset=dataset)
    network = made.deployed(initial(fill, made, batch, teacher), teacher)
    count = sum(leaf.size for leaf in jax.tree.leaves(network.variables['params']['projectors']))
    return network.model, count

  for q, f in ((3, 2), (6, 4), (1, 1)):
    _, stack = deployed('pidkd', num_projectors=q, factor=f)
    model, wide = deployed('wide', num_projectors=q, factor=f)
    assert model.num_projectors == 1
    # Nearer than half of what one more channel would add.
    step = 9 * (2 * model.hidden + 1) + 20 + 60 + 4
    assert abs(wide - stack) <= step / 2
  assert model.hidden == 60


@pytest.mark.parametrize('rectified', [True, False])
def test_the_integrated_map_is_behind_a_relu_where_the_teachers_is(fill, dataset, rectified):
  batch = make_batch(8)
  teacher = make_network(fill, (Strided if rectified else Raw)(3, stride=2, channels=6), 8)
  method = make_method(dataset, teacher, Strided(3, stride=2, channels=5), batch)
  network = method.deployed(initial(fill, method, batch, teacher), teacher)
  features = jax.jit(network.encode)(batch.image)
  assert features.rectified == rectified
  assert (np.min(features.target) >= 0) == rectified


def test_only_what_inference_needs_is_deployed(fill, dataset):
  batch = make_batch(8)
  teacher = make_network(fill, Strided(3, stride=2, channels=6), 8)
  method = make_method(dataset, teacher, Strided(3, stride=2, channels=5), batch)
  variables = initial(fill, method, batch, teacher)
  network = method.deployed(variables, teacher)
  params = network.variables['params']
  assert {name: set(tree) for name, tree in params.items()} == {
    'student': {'conv'},
    'projectors': {'projectors'},
    'teacher': {'classifier'},
  }
  assert params['teacher']['classifier'] == teacher.variables['params']['classifier']
  assert set(network.variables['batch_stats']) == {'student', 'projectors'}
  assert network.model.aligned and not teacher.model.aligned


def test_a_distilled_network_teaches_the_next(fill, dataset):
  batch = make_batch(8)
  teacher = make_network(fill, Strided(3, stride=2, channels=6), 8)
  for channels in (5, 4):
    method = make_method(dataset, teacher, Strided(3, stride=2, channels=channels), batch)
    teacher = method.deployed(initial(fill, method, batch, teacher), teacher)
    expected = jax.eval_shape(teacher.model.init, jax.random.key(0), batch.image)
    assert jax.tree.map(jnp.shape, teacher.variables) == jax.tree.map(jnp.shape, expected)
    logits = jax.jit(teacher.model.apply)(teacher.variables, batch.image)
    assert np.all(np.isfinite(logits))


def test_simkd_is_pidkd_with_one_projector(assemble, train):
  def member(method, **chosen):
    return Member(method, 'tests.plain:Plain', method, chosen, OptimizerHparams(), 0)

  cohort = assemble(member('simkd'), member('pidkd', num_projectors=1))
  simkd, pidkd = cohort.learners
  assert simkd.method == pidkd.method
  states = train(cohort, range(2))
  jax.tree.map(np.testing.assert_array_equal, states['simkd-0'], states['pidkd-0'])


@pytest.mark.parametrize(
  'chosen, said',
  [
    ({'num_projectors': 0}, 'num_projectors is 0'),
    ({'num_projectors': -2}, 'num_projectors is -2'),
    ({'factor': 0}, 'factor is 0; .* allows 1 to 12'),
    ({'factor': 13}, 'factor is 13; .* allows 1 to 12'),
    ({'integration': 'meen'}, "unknown integration 'meen'; did you mean 'mean'"),
  ],
)
def test_impossible_projectors_are_refused(chosen, said, assemble, batches):
  cohort = assemble(Member('pidkd', 'tests.plain:Plain', 'pidkd', chosen, OptimizerHparams(), 0))
  with pytest.raises(UserError, match=said) as error:
    jax.eval_shape(cohort.init, batches[0])
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('factor', [1, 12])
def test_the_hidden_width_may_be_all_or_one_channel(factor, assemble, batches):
  cohort = assemble(
    Member('pidkd', 'tests.plain:Plain', 'pidkd', {'factor': factor}, OptimizerHparams(), 0)
  )
  states = jax.eval_shape(cohort.init, batches[0])
  reduce = states['pidkd-0'].params['projectors']['projectors']['reduce']['conv']['kernel']
  assert reduce.shape == (3, 1, 1, 7, 12 // factor)
