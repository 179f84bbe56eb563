"""Teachers and students of different kinds: convolutional networks and transformers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pidkd_jax import methods, models
from pidkd_jax.core.types import Batch
from pidkd_jax.models.base import Model
from pidkd_jax.models.convnext import ConvNeXt
from pidkd_jax.models.network import Network
from pidkd_jax.models.resnet import ResNet
from pidkd_jax.models.vit import ViT
from pidkd_jax.training.step import observe
from tests.families import SMALL, shorten

TOYS = {
  'cnn': ResNet(num_classes=3, depth=8, widths=(4, 4, 8, 12)),
  'convnext': ConvNeXt(num_classes=3, blocks_per_stage=(1, 1, 1, 1), widths=(4, 8, 8, 8)),
  'vit': ViT(num_classes=3, patch=4, width=12, layers=2, heads=2, image_size=8),
}
# (teacher, student): each kind teaches once and is taught once, always by another.
KINDS = [('cnn', 'vit'), ('vit', 'convnext'), ('convnext', 'cnn')]


class OfShape(Model):
  """A student whose last map has a given shape."""

  shape: tuple[int, int, int]

  def stages(self, image, train=False):
    return (jnp.zeros((len(image), *self.shape), image.dtype),)

  def classify(self, pooled):
    return pooled[..., : self.num_classes]


def batch(side, size=4):
  image = np.random.default_rng(0).normal(size=(size, side, side, 3)).astype(np.float32)
  return Batch(jnp.asarray(image), jnp.arange(size) % 3, jnp.arange(size))


def initial(model, image):
  return jax.eval_shape(model.init, jax.random.key(0), image)


@pytest.fixture(scope='module')
def shortened():
  """Let deep families have few blocks."""
  with pytest.MonkeyPatch.context() as patch:
    shorten(patch)
    yield


def taught(name, student, teacher, images, dataset, **chosen):
  """Return a method, its variables' shapes, and the shapes of the teacher's outputs."""
  outputs = jax.eval_shape(observe, teacher, images)
  method = methods.create(name, **chosen)(student=student, target=outputs.features, dataset=dataset)
  init = functools.partial(method.init, method='loss')
  keys = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  return method, jax.eval_shape(init, keys, images, outputs, progress=jnp.float32(1)), outputs


@functools.cache
def maps(family):
  """Return a family's teacher, its features, and the map that a student distils, as shapes."""

  def run(model, image):
    features = model.encode(image)
    model.classify(features.pooled)
    return features, model.distillation_map(features.stages[-1])

  image = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
  model = models.create(SMALL[family], num_classes=3)
  init = functools.partial(model.init_with_output, method=run)
  (features, distilled), variables = jax.eval_shape(init, jax.random.key(0), image)
  return Network(variables, model), features, distilled


def teaches(teacher, features, student, dataset):
  """Check the loss of a student with this map, and the network that it deploys, by shapes."""
  images = batch(32)
  method, variables, outputs = taught(
    'pidkd', OfShape(num_classes=3, shape=student), teacher, images, dataset
  )

  def loss(variables, outputs):
    return method.apply(
      variables, images, outputs, progress=jnp.float32(1), method='loss', mutable=['batch_stats']
    )[0]

  assert jax.eval_shape(loss, variables, outputs)['feature'].shape == (4,)
  deployed = jax.eval_shape(method.deployed, variables, teacher)
  found = jax.eval_shape(Network.encode, deployed, images.image)
  sides = [min(pair) for pair in zip(student[:2], features.target.shape[1:3], strict=True)]
  assert found.target.shape == (4, *sides, features.target.shape[-1])
  assert found.rectified == features.rectified
  assert jax.eval_shape(Network.classify, deployed, found.pooled).shape == (4, 3)


@pytest.mark.parametrize('family', SMALL)
def test_every_family_teaches(family, dataset, shortened):
  teacher, features, _ = maps(family)
  teaches(teacher, features, (4, 4, 7), dataset)


@pytest.mark.parametrize('family', ['ImageNetResNet', 'ViT'])
def test_students_of_every_family_are_taught(family, dataset, shortened):
  """By a map of 4x4 behind a ReLU, and by a class token."""
  teacher, features, _ = maps(family)
  for shape in sorted({maps(student)[2].shape[1:] for student in SMALL}):
    teaches(teacher, features, shape, dataset)


@pytest.mark.parametrize('teacher, student', KINDS)
def test_a_step_brings_the_student_nearer_to_its_teacher(
  teacher, student, fill, dataset, shortened
):
  images = batch(8)
  model = TOYS[teacher]
  network = Network(fill(initial(model, images.image)), model)
  method, shapes, _ = taught(
    'pidkd', TOYS[student].clone(), network, images, dataset, num_projectors=2
  )
  variables = dict(fill(shapes, seed=1))
  params = variables.pop('params')
  outputs = observe(network, images)

  @jax.jit
  @jax.value_and_grad
  def step(params):
    terms, _ = method.apply(
      {'params': params, **variables},
      images,
      outputs,
      progress=jnp.float32(1),
      method='loss',
      mutable=['batch_stats'],
    )
    return jnp.mean(terms['feature'])

  before, gradient = step(params)
  gradient = jax.tree.map(np.asarray, gradient)
  largest = max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(gradient))
  after, _ = step(
    jax.tree.map(lambda value, slope: np.float32(value - 1e-3 / largest * slope), params, gradient)
  )
  assert np.isfinite(before) and after < before
  reached = {
    '/'.join(path): bool(np.any(leaf))
    for path, leaf in traverse_util.flatten_dict(gradient['student']).items()
  }
  assert all(reached.values()), reached
  deployed = method.deployed({'params': params, **variables}, network)

  @jax.jit
  def both(deployed, network):
    pooled = deployed.encode(images.image).pooled
    return deployed.classify(pooled), network.classify(pooled)

  np.testing.assert_allclose(*both(deployed, network), rtol=1e-5, atol=1e-6)
