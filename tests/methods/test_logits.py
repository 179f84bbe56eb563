"""Methods that compare logits, by hand in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods
from pidkd_jax.core.types import Batch
from pidkd_jax.methods.dkd import decoupled
from pidkd_jax.models.network import TeacherOutputs
from pidkd_jax.nn import losses

RNG = np.random.default_rng(0)
STUDENT, TEACHER = 3 * RNG.normal(size=(2, 6, 5))
LABEL = np.array([0, 1, 2, 3, 4, 0])


class Given(nn.Module):
  """A student whose images are its logits."""

  def __call__(self, image, train=False):
    return image[:, 0, 0, :]


def terms(name, progress=1.0, student=STUDENT, teacher=TEACHER, **chosen):
  """The terms of a method whose student and teacher give these logits."""
  method = methods.create(name, **chosen)(student=Given(), target=None, dataset=None)
  image = jnp.asarray(student[:, None, None, :], jnp.float32)
  batch = Batch(image, jnp.asarray(LABEL), jnp.arange(len(LABEL)))
  seen = TeacherOutputs(None, None, jnp.asarray(teacher, jnp.float32))
  return method.apply({}, batch, seen, progress=jnp.float32(progress), method='loss')


def softmax(logits):
  e = np.exp(logits)
  return e / e.sum(axis=-1, keepdims=True)


def kl(p, q):
  return np.sum(p * np.log(p / q), axis=-1)


def entropy(logits):
  return -np.log(softmax(logits)[np.arange(len(LABEL)), LABEL])


def standardized(logits):
  return (logits - logits.mean(1, keepdims=True)) / logits.std(1, ddof=1, keepdims=True)


@pytest.mark.parametrize(
  'name, label_weight, weight', [('kd_1_1', 1.0, 1.0), ('kd_01_09', 0.1, 0.9)]
)
def test_kd_by_hand(name, label_weight, weight):
  found = terms(name)
  assert found.keys() == {'cross_entropy', 'soft_target'}
  np.testing.assert_allclose(found['cross_entropy'], label_weight * entropy(STUDENT), rtol=1e-5)
  expected = 16 * kl(softmax(TEACHER / 4), softmax(STUDENT / 4))
  np.testing.assert_allclose(found['soft_target'], weight * expected, rtol=1e-5)


def test_the_fields_of_kd_act():
  found = terms('kd_1_1', weight=0.5, label_weight=2.0, temperature=3.0)
  np.testing.assert_allclose(found['cross_entropy'], 2 * entropy(STUDENT), rtol=1e-5)
  expected = 0.5 * 9 * kl(softmax(TEACHER / 3), softmax(STUDENT / 3))
  np.testing.assert_allclose(found['soft_target'], expected, rtol=1e-5)


def test_standardised_kd_by_hand():
  found = terms('kd_01_09', weight=9.0, temperature=2.0, standardize=True)
  # The labels see the logits as they are.
  np.testing.assert_allclose(found['cross_entropy'], 0.1 * entropy(STUDENT), rtol=1e-5)
  student, teacher = softmax(standardized(STUDENT) / 2), softmax(standardized(TEACHER) / 2)
  np.testing.assert_allclose(found['soft_target'], 9 * 4 * kl(teacher, student), rtol=1e-4)


@pytest.mark.parametrize(
  'name, term', [('kd_1_1', 'soft_target'), ('dkd', 'tckd'), ('dkd', 'nckd')]
)
def test_standardised_logits_may_be_shifted_and_stretched(name, term):
  found = terms(name, student=4 * TEACHER + 7, standardize=True)
  np.testing.assert_allclose(found[term], 0, atol=1e-4)
  assert np.all(terms(name, student=4 * TEACHER + 7)[term] > 1e-3)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_dkd_by_hand(temperature):
  p, q = softmax(TEACHER / temperature), softmax(STUDENT / temperature)
  binary, among = [], []
  for t, s, label in zip(p, q, LABEL):
    binary.append(kl(np.array([t[label], 1 - t[label]]), np.array([s[label], 1 - s[label]])))
    t, s = np.delete(t, label), np.delete(s, label)
    among.append(kl(t / t.sum(), s / s.sum()))
  found = terms('dkd', alpha=2.0, beta=3.0, label_weight=0.5, temperature=temperature)
  np.testing.assert_allclose(found['cross_entropy'], 0.5 * entropy(STUDENT), rtol=1e-5)
  np.testing.assert_allclose(found['tckd'], 2 * temperature**2 * np.array(binary), rtol=1e-4)
  np.testing.assert_allclose(found['nckd'], 3 * temperature**2 * np.array(among), rtol=1e-4)


def test_the_two_parts_make_up_the_divergence():
  """KL = TCKD + (1 - p of the true class in the teacher) NCKD, Sec. 3 of the paper."""
  student, teacher = jnp.asarray(STUDENT, jnp.float32), jnp.asarray(TEACHER, jnp.float32)
  tckd, nckd = decoupled(student, teacher, jnp.asarray(LABEL), 2.0)
  rest = 1 - softmax(TEACHER / 2)[np.arange(len(LABEL)), LABEL]
  expected = losses.soft_targets(student, teacher, 2.0)
  np.testing.assert_allclose(tckd + rest * nckd, expected, rtol=1e-4)


def test_dkd_warms_up_and_the_labels_do_not():
  full = terms('dkd')
  for progress, share in ((1 / 240, 1 / 20), (1 / 48, 1 / 4), (1 / 12, 1), (1, 1)):
    found = terms('dkd', progress)
    for term, factor in (('cross_entropy', 1), ('tckd', share), ('nckd', share)):
      np.testing.assert_allclose(found[term], factor * full[term], rtol=1e-5)
  np.testing.assert_allclose(terms('dkd', 1e-6, warmup=0.0)['nckd'], full['nckd'], rtol=1e-6)


@pytest.mark.parametrize('size', [0.0, 1e2, 1e4, 1e30])
@pytest.mark.parametrize('name', ['kd_1_1', 'dkd'])
@pytest.mark.parametrize('standardize', [False, True])
def test_gradients_are_finite_at_extreme_logits(size, name, standardize):
  # The teacher is sure of the true class, of another, and of nothing.
  teacher = np.zeros((6, 5))
  teacher[[0, 1], [0, 2]] = size

  def total(student):
    found = terms(name, student=student, teacher=teacher, standardize=standardize)
    return sum(jnp.mean(term) for term in found.values())

  for student in (size * STUDENT, np.zeros((6, 5)), -teacher):
    value, gradient = jax.value_and_grad(total)(jnp.asarray(student, jnp.float32))
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_standardised_logits_by_hand():
  found = losses.standardize(jnp.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]))
  np.testing.assert_allclose(found, [[-1, 0, 1], [0, 0, 0]], atol=1e-6)
