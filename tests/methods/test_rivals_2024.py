"""Later rivals, by hand in float64 and by their properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.methods import norm, vkd
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Given, Linear

RNG = np.random.default_rng(0)
STUDENT, TEACHER = 3 * RNG.normal(size=(2, 6, 5))
LABEL = np.array([0, 1, 2, 3, 4, 0])


def of_logits(name, student, teacher, **chosen):
  """The terms of a method whose student and teacher give these logits."""
  method = methods.create(name, **chosen)(student=Given(), target=None, dataset=None)
  batch = Batch(jnp.asarray(student, jnp.float32), jnp.asarray(LABEL), None)
  seen = TeacherOutputs(None, None, jnp.asarray(teacher, jnp.float32))
  return method.apply({}, batch, seen, progress=jnp.float32(1), method='loss')


def softmax(logits):
  e = np.exp(logits)
  return e / e.sum(axis=-1, keepdims=True)


def test_dist_by_hand():
  student, teacher = softmax(STUDENT / 4), softmax(TEACHER / 4)
  found = of_logits('dist', STUDENT, TEACHER, weight=3.0, class_weight=5.0, label_weight=0.5)
  images = [1 - np.corrcoef(*rows)[0, 1] for rows in zip(student, teacher)]
  classes = [1 - np.corrcoef(*rows)[0, 1] for rows in zip(student.T, teacher.T)]
  np.testing.assert_allclose(found['inter_class'], 3 * 16 * np.array(images), rtol=1e-3)
  np.testing.assert_allclose(found['intra_class'], 5 * 16 * np.mean(classes), rtol=1e-3)
  entropy = -np.log(softmax(STUDENT)[np.arange(6), LABEL])
  np.testing.assert_allclose(found['cross_entropy'], 0.5 * entropy, rtol=1e-5)


@pytest.mark.parametrize('size', [0.0, 1e2, 1e30])
def test_gradients_of_dist_are_finite_at_extreme_logits(size):
  def total(student):
    found = of_logits('dist', student, size * TEACHER)
    return sum(jnp.mean(term) for term in found.values())

  for student in (size * STUDENT, np.zeros((6, 5))):
    value, gradient = jax.value_and_grad(total)(jnp.asarray(student, jnp.float32))
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
  head = variables['params']['head']['linear']
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
  np.testing.assert_array_equal(norm.max_pool_to(x, 2)[0, :, :, 0], [[5, 7], [13, 15]])
  assert norm.max_pool_to(x, 3) is x
