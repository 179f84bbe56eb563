"""Every method on pairs whose networks differ in stages and resolutions, by shapes alone.

The networks are traced once for the shapes of their maps. Networks that only have such maps stand
for them in the methods, so a step costs no more than the method's own part.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods, models
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch, DatasetSpec, Features
from pidkd_jax.models.base import Model, pool
from pidkd_jax.models.network import Network
from pidkd_jax.training import step as steps
from pidkd_jax.training.learner import Learner
from pidkd_jax.training.optimizer import Optimizer
from tests.families import shorten

# Those of the literature, or shallower ones of the same maps; and convolutions with transformers.
PAIRS = [
  ('resnet8x4', 'vgg8'),
  ('ResNet50', 'MobileNetV2'),
  ('vit_tiny_patch4_32', 'resnet8'),
  ('resnet8', 'vit_tiny_patch4_32'),
]
CIFAR100 = DatasetSpec(
  name='cifar100',
  format='cifar100',
  archive='',
  source='made up',
  class_names=tuple(map(str, range(100))),
  labels=np.arange(500, dtype=np.int32) % 100,
  image_shape=(32, 32, 3),
  normalisation=Normalisation((0.5,) * 3, (0.5,) * 3),
  padding=4,
  flip=True,
  fingerprint='',
)
IMAGE, INDEX, STEP = (
  jax.ShapeDtypeStruct(shape, dtype)
  for shape, dtype in (((4, 32, 32, 3), jnp.float32), ((4,), jnp.int32), ((), jnp.int32))
)
BATCH = Batch(IMAGE, INDEX, INDEX)


class Value(nn.Module):
  """A parameter, so that maps have a gradient."""

  @nn.compact
  def __call__(self):
    return self.param('value', nn.initializers.ones, ())


class Shaped(Model):
  """A network whose maps have given shapes.

  Attributes:
    map_shapes: of the stem and of each stage.
    target_shape: of the map that is classified.
  """

  map_shapes: tuple[tuple[int, int, int], ...]
  target_shape: tuple[int, int, int]

  def setup(self):
    self.value = Value()
    self.linear = nn.Dense(self.num_classes)

  def stages(self, image, train=False):
    return tuple(jnp.full((len(image), *shape), self.value()) for shape in self.map_shapes)

  def head(self, last, train=False):
    return jnp.full((len(last), *self.target_shape), self.value())

  def classify(self, pooled):
    return self.linear(pooled)


class ClassToken(Shaped):
  """As a ViT: its target is in none of its maps, and not behind a ReLU."""

  rectified = False

  def head(self, last, train=False):
    raise NotImplementedError

  def encode(self, image, train=False):
    maps = self.stages(image)
    target = jnp.full((len(image), *self.target_shape), self.value())
    return Features(maps, maps, target, pool(target), self.rectified)


@functools.cache
def shaped(name):
  """Return a network with the maps of the one that is called `name`."""
  model = models.create(name, num_classes=100)
  encode = functools.partial(model.init_with_output, method='encode')
  with pytest.MonkeyPatch.context() as patch:
    shorten(patch)
    features, _ = jax.eval_shape(encode, jax.random.key(0), IMAGE)
  maps = tuple(x.shape[1:] for x in features.stages)
  family = Shaped if features.rectified else ClassToken
  return family(num_classes=100, map_shapes=maps, target_shape=features.target.shape[1:])


@functools.cache
def taught(name):
  """Return a teacher, and its outputs on a batch, as shapes."""
  model = shaped(name)
  network = Network(jax.eval_shape(model.init, jax.random.key(0), IMAGE), model)
  return network, jax.eval_shape(steps.observe, network, BATCH)


def shapes(tree):
  return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


# These read logits and labels alone, so all pairs are one to them.
LOGITS = ('scratch', 'kd_1_1', 'kd_01_09', 'dkd', 'dist', 'wttm', 'ctkd', 'mlkd')
# Standardised logits have no shapes of their own, and these are `pidkd` with other numbers.
ALIKE = ('simkd', 'simkd_published', 'pidkd_published')
NAMES = [
  name for name in methods.names() if not name.endswith('_standardized') and name not in ALIKE
]


@pytest.mark.parametrize(
  'pair, name',
  [(pair, name) for pair in PAIRS for name in NAMES if pair == PAIRS[0] or name not in LOGITS],
  ids=lambda value: value if isinstance(value, str) else '-'.join(value),
)
def test_a_step(pair, name):
  network, seen = taught(pair[0])
  method = methods.create(name)(student=shaped(pair[1]), target=seen.features, dataset=CIFAR100)
  learner = Learner.create(method, Optimizer(3, (6,), 0.1, 0.9), jax.random.key(0))
  state = jax.eval_shape(steps.init, learner, BATCH, network)
  gradient, (terms, collections) = jax.eval_shape(
    jax.grad(steps.loss, argnums=1, has_aux=True),
    learner,
    state.params,
    state.collections,
    BATCH,
    seen,
    STEP,
  )
  assert shapes((gradient, terms, collections)) == shapes(
    (state.params, state.loss_sums, state.collections)
  )
  deployed = jax.eval_shape(method.deployed, state.variables, network)
  features = jax.eval_shape(Network.encode, deployed, IMAGE)
  assert jax.eval_shape(Network.classify, deployed, features.pooled).shape == (4, 100)
