"""Every method on pairs whose networks differ in stages and resolutions, by shapes alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import methods, models
from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch, DatasetSpec
from pidkd_jax.models import mobilenetv2, shufflenetv1
from pidkd_jax.models.network import Network
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Cohort
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams

PAIRS = [('resnet32x4', 'vgg8'), ('ResNet50', 'MobileNetV2'), ('wrn_40_2', 'ShuffleV1')]
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


@pytest.fixture(scope='module', autouse=True)
def shallow():
  """Students of one block for each row or stage, of the same shapes: tracing is what costs here."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(shufflenetv1, '_UNITS', (1, 1, 1))
    patch.setattr(mobilenetv2, '_ROWS', tuple((*row[:2], 1) for row in mobilenetv2._ROWS))
    yield


@functools.cache
def cohort(teacher, student):
  """All methods on a pair."""
  model = models.create(teacher, num_classes=100)
  return cohorts.assemble(
    [Member(name, student, name, {}, OptimizerHparams(), 0) for name in methods.names()],
    teacher=Network(jax.eval_shape(model.init, jax.random.key(0), IMAGE), model),
    dataset=CIFAR100,
    image=IMAGE,
    optimizer=Optimizer(3, (6,), 0.1, 0.9),
    key=jax.random.key(0),
  )


def shapes(tree):
  return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


# Standardised logits have no shapes of their own.
@pytest.mark.parametrize(
  'method', [name for name in methods.names() if not name.endswith('_standardized')]
)
@pytest.mark.parametrize('pair', PAIRS, ids='-'.join)
def test_a_step(pair, method):
  every = cohort(*pair)
  one = every.subset([f'{method}-0'])
  states = jax.eval_shape(Cohort.init, one, BATCH)
  assert shapes(jax.eval_shape(Cohort.step, one, states, BATCH, STEP)) == shapes(states)
