"""The linear map: its loss, and its fusion with the teacher's classifier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods
from pidkd_jax.core.errors import UserError
from pidkd_jax.methods import linear
from pidkd_jax.models.network import Network
from pidkd_jax.nn.layers import Classifier
from pidkd_jax.training.step import observe
from tests.plain import Plain

IMAGE = (8, 8, 3)


class Deep(Plain):
  """Its classifier has two layers."""

  def setup(self):
    super().setup()
    self.before = Classifier(4)

  def classify(self, pooled):
    return self.classifier(nn.relu(self.before(pooled)))


class Biasless(Plain):
  """Its classifier has no bias."""

  def setup(self):
    super().setup()
    self.kernel = nn.Dense(self.num_classes, use_bias=False)

  def classify(self, pooled):
    return self.kernel(pooled)


class Bare(Plain):
  """Its classifier has no parameters."""

  def classify(self, pooled):
    return pooled[..., : self.num_classes]


@pytest.fixture(scope='module')
def make(dataset, teacher):
  """A function that makes the method for a student, with its teacher's features as shapes."""

  def make(student=Plain, taught_by=teacher, **chosen):
    target = jax.eval_shape(taught_by.encode, jnp.zeros((4, *IMAGE)))
    return methods.create('linear', **chosen)(
      student=student(num_classes=3), target=target, dataset=dataset
    )

  return make


@pytest.fixture(scope='module')
def variables(make, batches, teacher, fill):
  rngs = {'params': jax.random.key(0)}
  shapes = jax.eval_shape(
    lambda batch: make().init(
      rngs, batch, observe(teacher, batch), progress=jnp.float32(1), method='loss'
    ),
    batches[0],
  )
  return fill(shapes)


def test_fusion_by_hand(make, teacher, variables):
  network = make().deployed(variables, teacher)
  first = variables['params']['map']
  second = teacher.variables['params']['classifier']['linear']
  fused = network.variables['params']['classifier']['linear']
  assert fused['kernel'].shape == (7, 3) and fused['bias'].shape == (3,)
  np.testing.assert_allclose(
    fused['kernel'],
    np.float64(first['kernel']) @ np.float64(second['kernel']),
    rtol=1e-5,
    atol=1e-6,
  )
  np.testing.assert_allclose(
    fused['bias'],
    np.float64(first['bias']) @ np.float64(second['kernel']) + second['bias'],
    rtol=1e-5,
    atol=1e-6,
  )


def test_the_fused_classifier_gives_the_same_logits(make, teacher, variables, batches):
  network = make().deployed(variables, teacher)
  assert network.model == Plain(num_classes=3)
  shapes = jax.eval_shape(network.model.init, jax.random.key(0), jnp.zeros((1, *IMAGE)))
  assert jax.tree.map(jnp.shape, network.variables) == jax.tree.map(jnp.shape, shapes)
  student = Network(
    {name: tree['student'] for name, tree in variables.items()}, Plain(num_classes=3)
  )

  @jax.jit
  def unfused(image):
    pooled = student.encode(image).pooled
    first = variables['params']['map']
    return teacher.classify(pooled @ first['kernel'] + first['bias'])

  fused = jax.jit(network.model.apply)
  for batch in batches[:2]:
    expected = np.asarray(unfused(batch.image))
    np.testing.assert_allclose(
      fused(network.variables, batch.image), expected, rtol=1e-4, atol=1e-5
    )
    assert np.ptp(expected) > 0.1  # Logits differ, so that an error would show.


def test_the_loss_by_hand(make, teacher, variables, batches):
  batch = batches[0]
  method = make(weight=3.0, divergence_weight=0.0)
  seen = observe(teacher, batch)
  loss = functools.partial(method.apply, method='loss', mutable=['batch_stats'])
  terms, _ = jax.jit(loss)(variables, batch, seen, progress=jnp.float32(1))
  student = {name: tree['student'] for name, tree in variables.items()}
  encode = functools.partial(
    Plain(num_classes=3).apply, train=True, method='encode', mutable=['batch_stats']
  )
  features, _ = jax.jit(encode)(student, batch.image)
  # The spatial mean of a map that went through a 1x1 convolution is the mean, mapped.
  first = variables['params']['map']
  mapped = np.einsum('bhwc,cd->bhwd', features.target, first['kernel']) + first['bias']
  target = np.float64(seen.features.target).mean((1, 2))
  error = np.mean((mapped.mean((1, 2)) - target) ** 2, axis=1)
  np.testing.assert_allclose(terms['feature'], 3 * error / np.mean(target**2), rtol=1e-4)
  np.testing.assert_array_equal(terms['soft_target'], 0)


@pytest.mark.parametrize('role', ['student', 'teacher'])
def test_a_classifier_of_two_layers_is_refused(make, teacher, batches, fill, role):
  deep = Deep(num_classes=3)
  shapes = jax.eval_shape(deep.init, jax.random.key(0), batches[0].image)
  if role == 'teacher':
    teacher, method = Network(fill(shapes), deep), make(taught_by=Network(fill(shapes), deep))
  else:
    method = make(student=Deep)
  seen = jax.eval_shape(observe, teacher, batches[0])
  with pytest.raises(UserError, match='classifier of Deep is not one linear layer'):
    jax.eval_shape(
      lambda batch, seen: method.init(
        jax.random.key(0), batch, seen, progress=jnp.float32(1), method='loss'
      ),
      batches[0],
      seen,
    )


def test_a_classifier_without_parameters_is_refused():
  with pytest.raises(UserError, match='classifier of Bare is not one linear layer'):
    linear.student_classifier(Bare(num_classes=3), 7)
  pooled = jax.ShapeDtypeStruct((1, 7), jnp.float32)
  with pytest.raises(UserError, match='classifier of Bare is not one linear layer'):
    linear._teacher_classifier(Network({}, Bare(num_classes=3)), pooled)


def test_a_student_without_a_bias_cannot_take_the_teachers(make, teacher, batches):
  with pytest.raises(UserError, match='Biasless has no bias'):
    jax.eval_shape(
      lambda batch, seen: make(student=Biasless).init(
        jax.random.key(0), batch, seen, progress=jnp.float32(1), method='loss'
      ),
      batches[0],
      jax.eval_shape(observe, teacher, batches[0]),
    )
