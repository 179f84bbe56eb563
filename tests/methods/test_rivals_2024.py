"""Later rivals, by hand in float64 and by their properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods
from pidkd_jax.core.types import Batch
from pidkd_jax.methods import vkd
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Given

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
