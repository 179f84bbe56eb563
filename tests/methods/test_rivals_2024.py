"""Later rivals, by hand in float64 and by their properties."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods import mlkd, norm, vkd
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import losses
from pidkd_jax.nn.image_policies import RandAugment
from tests.given import Given, Linear

# All methods that standardise logits.
TWO_REFUSED = ['norm', *(name for name in methods.names() if name.endswith('_standardized'))]
RNG = np.random.default_rng(0)
STUDENT, TEACHER = 3 * RNG.normal(size=(2, 6, 5))
LABEL = np.array([0, 1, 2, 3, 4, 0])


class Mirror:
  """In place of the teacher's network: an image's logits are the image."""

  def encode(self, image):
    return Features((), (), None, image)

  def classify(self, pooled):
    return pooled


@pytest.fixture
def mirrored(monkeypatch):
  """The strong view of MLKD is the negative of the weak one."""
  monkeypatch.setattr(mlkd, 'strong_view', lambda key, images, *_, **__: -images)


def of_logits(name, student, teacher, progress=1.0, **chosen):
  """The terms of a method whose student and teacher give these logits."""
  dataset = types.SimpleNamespace(normalisation=None)
  method = methods.create(name, **chosen)(student=Given(), target=None, dataset=dataset)
  batch = Batch(jnp.asarray(student, jnp.float32), jnp.asarray(LABEL), None)
  seen = TeacherOutputs(Mirror(), None, jnp.asarray(teacher, jnp.float32))
  return method.init_with_output(
    jax.random.key(0), batch, seen, progress=jnp.float32(progress), method='loss'
  )[0]


def softmax(logits):
  e = np.exp(logits)
  return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize('name', TWO_REFUSED)
@pytest.mark.usefixtures('mirrored')
def test_two_standardised_logits_are_refused_as_constants(name):
  logits = jax.ShapeDtypeStruct((6, 2), jnp.float32)
  with pytest.raises(UserError, match='there are 2 classes, whose standardised logits'):
    jax.eval_shape(lambda logits: of_logits(name, logits, logits), logits)


def test_dist_by_hand():
  student, teacher = softmax(STUDENT / 4), softmax(TEACHER / 4)
  found = of_logits('dist', STUDENT, TEACHER, weight=3.0, class_weight=5.0, label_weight=0.5)
  images = [1 - np.corrcoef(*rows)[0, 1] for rows in zip(student, teacher)]
  classes = [1 - np.corrcoef(*rows)[0, 1] for rows in zip(student.T, teacher.T)]
  np.testing.assert_allclose(found['inter_class'], 3 * 16 * np.array(images), rtol=1e-3)
  np.testing.assert_allclose(found['intra_class'], 5 * 16 * np.mean(classes), rtol=1e-3)
  entropy = -np.log(softmax(STUDENT)[np.arange(6), LABEL])
  np.testing.assert_allclose(found['cross_entropy'], 0.5 * entropy, rtol=1e-5)


@pytest.mark.parametrize('name', ['dist', 'wttm', 'ctkd', 'mlkd', 'mlkd_standardized'])
def test_gradients_are_finite_at_extreme_logits(name, mirrored):
  @jax.jit
  @jax.value_and_grad
  def total(student, teacher):
    return sum(jnp.mean(term) for term in of_logits(name, student, teacher).values())

  for size in (0.0, 1e2, 1e4):
    for student in (size * STUDENT, np.zeros((6, 5))):
      value, gradient = total(jnp.asarray(student, jnp.float32), size * TEACHER)
      assert np.isfinite(value) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize('channels, features', [(3, 6), (6, 3), (4, 4)])
def test_the_projector_of_vkd_stays_orthogonal(channels, features):
  projector, image = vkd.Orthogonal(features), jnp.eye(channels)
  variables = projector.init(jax.random.key(0), image)
  generator = variables['params']['generator']
  assert not np.any(generator)
  other = {'generator': jax.random.normal(jax.random.key(1), generator.shape)}
  begins = projector.apply(variables, image)
  later = projector.apply({**variables, 'params': other}, image)
  assert np.max(np.abs(later - begins)) > 0.1
  for kernel in map(np.asarray, (begins, later)):
    gram = kernel @ kernel.T if channels <= features else kernel.T @ kernel
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)


def test_norm_is_folded_into_the_students_classifier():
  rng = np.random.default_rng(1)
  target, image = jnp.ones((6, 4, 4, 3)), jnp.asarray(rng.normal(size=(6, 4, 4, 5)), jnp.float32)
  taught = Features((), (), target, target[:, 0, 0])
  method = methods.create('norm', num_groups=2)(student=Linear(4), target=taught, dataset=None)
  seen = TeacherOutputs(None, taught, jnp.zeros((6, 4)))
  batch = Batch(image, jnp.zeros(6, int), None)
  drawn = jax.eval_shape(
    lambda: method.init(jax.random.key(0), batch, seen, progress=1.0, method='loss')
  )
  variables = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.5, 2, leaf.shape)), drawn)
  x = np.asarray(image, np.float64)
  for part in ('expand', 'reduce'):
    params, running = (variables[key][part] for key in ('params', 'batch_stats'))
    y = x @ np.asarray(params['conv']['kernel'][0, 0])
    y = (y - running['norm']['mean']) / np.sqrt(running['norm']['var'] + 1e-5)
    x = y * params['norm']['scale'] + params['norm']['bias']
  # A student that begins with a bundle's weights takes its classifier, too.
  assert variables['params'].keys() == {'student', 'expand', 'reduce'}
  head = variables['params']['student']['linear']
  expected = (image + x).mean((1, 2)) @ head['kernel'] + head['bias']
  network = method.deployed(variables, None)
  assert isinstance(network.model, Linear) and network.variables['params'].keys() == {'linear'}
  np.testing.assert_allclose(
    network.model.apply(network.variables, image), expected, rtol=1e-4, atol=1e-3
  )


def test_the_weight_of_norm_follows_the_training():
  epochs = np.array([1, 10, 11, 20, 21, 180, 181, 210, 211, 240])
  found = [float(norm.share(jnp.float32(epoch / 240))) for epoch in epochs]
  np.testing.assert_allclose(found, [0.1, 0.1, 0.5, 0.5, 1, 1, 0.5, 0.5, 0.1, 0.1], rtol=1e-6)


def test_a_larger_map_is_pooled_by_its_largest_values():
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(norm.max_pool_to(x, (2, 2))[0, :, :, 0], [[5, 7], [13, 15]])
  np.testing.assert_array_equal(norm.max_pool_to(x, (3, 3)), x)
  # Of images that are not square a map may be narrower than it is to be lower.
  np.testing.assert_array_equal(norm.max_pool_to(x[:, :, :1], (1, 1))[0, :, :, 0], [[12]])


def kl(p, q):
  return np.sum(p * np.log(p / q), axis=-1)


def test_wttm_by_hand():
  found = of_logits('wttm', STUDENT, TEACHER, weight=3.0, exponent=0.5, label_weight=0.5)
  powers = np.sqrt(softmax(TEACHER))
  unsure = powers.sum(1)
  expected = 3 * unsure * kl(powers / unsure[:, None], softmax(STUDENT))
  np.testing.assert_allclose(found['transformed_target'], expected, rtol=1e-4)
  entropy = -np.log(softmax(STUDENT)[np.arange(6), LABEL])
  np.testing.assert_allclose(found['cross_entropy'], 0.5 * entropy, rtol=1e-5)


@pytest.mark.parametrize('normalize', [False, True])
def test_catkd_by_hand(normalize):
  """Of maps of unequal size; the classifiers' biases take no part."""
  rng = np.random.default_rng(2)
  ours, taught = (
    rng.uniform(size=size).astype(np.float32) for size in ((6, 4, 4, 5), (6, 2, 2, 3))
  )
  kernels = rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
  maps = []
  for features, kernel in zip((ours.reshape(6, 2, 2, 2, 2, 5).mean((2, 4)), taught), kernels):
    cams = (features @ kernel).reshape(6, 4, 4)
    maps.append(cams / np.linalg.norm(cams, axis=1, keepdims=True) if normalize else cams)
  expected = 3 * np.mean((maps[0] - maps[1]) ** 2, axis=(1, 2))

  class Teacher:
    def classify(self, pooled):
      return pooled @ kernels[1] + 7

  method = methods.create('catkd', weight=3.0, normalize=normalize)
  method = method(student=Linear(4), target=None, dataset=None)
  seen = TeacherOutputs(Teacher(), Features((), (), taught, None), None)
  params = {'student': {'linear': {'kernel': kernels[0], 'bias': np.full(4, 9.0)}}}
  given = Features((), (), ours, None), seen, None, 1.0
  found = method.apply({'params': params}, *given, method='terms')
  np.testing.assert_allclose(found['attention'], expected, rtol=1e-3)


@pytest.mark.parametrize('epoch, share', [(1, 0.024472), (5, 0.5), (10, 1.0), (240, 1.0)])
def test_the_temperature_of_ctkd_sees_a_reversed_gradient(epoch, share):
  method = methods.create('ctkd')(student=Given(), target=None, dataset=None)
  student, teacher = jnp.asarray(STUDENT, jnp.float32), jnp.asarray(TEACHER, jnp.float32)
  seen = TeacherOutputs(None, None, teacher)
  batch = Batch(student, jnp.asarray(LABEL), None)

  def learned(level):
    variables = {'params': {'temperature': level}}
    found = method.apply(variables, batch, seen, progress=jnp.float32(epoch / 240), method='loss')
    return jnp.mean(found['soft_target'])

  def plain(level):
    temperature = 1 + 20 * jax.nn.sigmoid(level)
    return 0.9 * jnp.mean(losses.soft_targets(student, teacher, temperature))

  value, gradient = jax.value_and_grad(learned)(1.0)
  expected, direction = jax.value_and_grad(plain)(1.0)
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  np.testing.assert_allclose(gradient, -share * direction, rtol=1e-4)


def test_the_products_of_mlkd_by_hand():
  student, teacher = softmax(STUDENT / 3), softmax(TEACHER / 3)
  images, classes = mlkd.products(jnp.asarray(STUDENT), jnp.asarray(TEACHER), jnp.float32(3))
  expected = np.sum((student @ student.T - teacher @ teacher.T) ** 2) / 6
  np.testing.assert_allclose(images, expected, rtol=1e-3)
  expected = np.sum((student.T @ student - teacher.T @ teacher) ** 2) / 5
  np.testing.assert_allclose(classes, expected, rtol=1e-3)


def test_mlkd_shows_one_strong_view_to_student_and_teacher(monkeypatch):
  """It is made of the teacher's images, which are larger here."""
  shown, policies = [], []

  def changed(key, images, normalisation, policy):
    policies.append(policy)
    return images + 1

  class Seeing(Mirror):
    def encode(self, image):
      shown.append(image)
      return Features((), (), None, image.mean((1, 2)))

  class Student(Given):
    def __call__(self, image, train=False):
      shown.append(image)
      return image.mean((1, 2))

  monkeypatch.setattr(mlkd, 'strong_view', changed)
  large = jnp.asarray(np.random.default_rng(3).normal(size=(6, 4, 4, 3)), jnp.float32)
  small = jax.image.resize(large, (6, 2, 2, 3), 'linear')
  dataset = types.SimpleNamespace(normalisation=None)
  method = methods.create('mlkd')(student=Student(), target=None, dataset=dataset)
  given = Batch(small, jnp.asarray(LABEL % 3), None, larger=large)
  seen = TeacherOutputs(Seeing(), None, jnp.zeros((6, 3)))
  method.apply({}, given, seen, progress=1.0, method='loss', rngs={'method': jax.random.key(0)})
  weak, strong, taught = shown
  assert weak is small and policies == [RandAugment(operations=2, magnitude=10)]
  np.testing.assert_array_equal(taught, large + 1)
  np.testing.assert_allclose(strong, small + 1, atol=1e-5)
