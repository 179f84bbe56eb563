"""A step of PIDKD on a student of every family, of real weights, statistics and gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from pidkd_jax import models
from pidkd_jax.models import mobilenetv2
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.cohort import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import Numbers
from pidkd_jax.types import Batch

STUDENTS = {
  'ResNet': 'resnet8',
  'ImageNetResNet': 'ResNet18',
  'WRN': 'wrn_16_1',
  'VGG': 'vgg8',
  'MobileNetV2': 'MobileNetV2',
  'MobileNetV2TinyImageNet': 'MobileNetV2_TinyImageNet',
  'ShuffleNetV1': 'ShuffleV1',
  'ShuffleNetV2': 'ShuffleV2',
}
# A shift of a channel that reaches the next BatchNorm by linear maps alone is taken away there,
# so these have no gradient: biases before a norm, and those of a norm without an activation.
SHIFTS = {
  'VGG': r'.*/conv/bias',
  'MobileNetV2': r'.*/project/norm/bias',
  'MobileNetV2TinyImageNet': r'.*/(conv|project/norm)/bias',
  'ShuffleNetV2': r'.*depthwise/norm/bias',
}


def test_every_family_has_a_student_here():
  made = {name: models.create(name, num_classes=2) for name in models.names()}
  assert set(STUDENTS) == {type(model).__name__ for model in made.values()}
  assert all(type(made[name]).__name__ == family for family, name in STUDENTS.items())


@pytest.mark.parametrize('family', STUDENTS)
def test_a_step_moves_every_parameter_of_the_student(
  family, dataset, teacher, fill, monkeypatch
):
  # One row of two blocks, which has a shortcut, will do: compiling is what costs here.
  rows = [(expansion, channels, min(n, 2 if i == 1 else 1)) for i, (expansion, channels, n) in enumerate(mobilenetv2._ROWS)]
  monkeypatch.setattr(mobilenetv2, '_ROWS', rows)
  rng = np.random.default_rng(0)
  images = jnp.asarray(rng.normal(size=(6, 16, 16, 3)), jnp.float32)
  batch = Batch(images, jnp.arange(6, dtype=jnp.int32) % 3, jnp.arange(6, dtype=jnp.int32))
  cohort = cohorts.assemble(
    [Member('pidkd', STUDENTS[family], 'pidkd', {'num_projectors': 2}, Numbers(0.01, 0.0), 0)],
    teacher=teacher,
    dataset=dataset,
    image=jax.ShapeDtypeStruct(images.shape, jnp.float32),
    optimizer=Optimizer(3, (6,), 0.1, 0.9),
    key=jax.random.key(0),
  )
  [(name, shapes)] = jax.eval_shape(cohort.init, batch).items()
  # Biases of zero would leave more parameters without a gradient.
  start = fill({'params': shapes.params, **shapes.collections})
  before = jax.tree.map(np.array, start)
  params = start.pop('params')
  state = shapes.replace(
    params=params, collections=start, momentum=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.momentum),
    sums=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.sums), bad_step=jnp.int32(-1),
  )
  state = cohort.step({name: state}, batch, jnp.int32(0))[name]
  [gradient] = (part.trace for part in state.momentum if isinstance(part, optax.TraceState))
  g = traverse_util.flatten_dict(gradient['student'], sep='/')
  print(family, state.sums)
  size = {p: float(jnp.sqrt(jnp.mean(v**2))) for p, v in g.items()}
  z = {p: v for p, v in size.items() if re.fullmatch(SHIFTS.get(family, 'none'), p)}
  nz = {p: v for p, v in size.items() if p not in z}
  print('zeros', len(z), max(z.values(), default=0), 'others', sorted((v, p) for p, v in nz.items())[:4], max(nz.values()))
