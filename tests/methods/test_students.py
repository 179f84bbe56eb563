"""A step of PIDKD on a student of every family: what the gradient reaches."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from pidkd_jax.core.types import Batch
from pidkd_jax.models import convnext, imagenet_resnet, mobilenetv2, vgg
from pidkd_jax.nn.convolution import choice
from pidkd_jax.training import cohort as cohorts
from pidkd_jax.training.member import Member
from pidkd_jax.training.optimizer import Optimizer
from pidkd_jax.training.recipe import OptimizerHparams
from tests.families import SMALL, shorten

# A shift of a channel that comes to the next BatchNorm by linear maps alone is taken away there,
# so these have no gradient by construction: a bias before a norm, and the bias of a norm without
# an activation behind it. (A projector begins with a 1x1 convolution and a norm.)
SHIFTS = {
  'VGG': r'.*/conv/bias',
  'MobileNetV2': r'.*/project/norm/bias',
  'MobileNetV2TinyImageNet': r'.*/(conv|project/norm)/bias',
  'ShuffleNetV2': r'.*depthwise/norm/bias',
  'ConvNeXt': r'stage4_block1/mlp/second/bias',
  'ViT': 'norm/bias',
}
RATE = 0.01


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.normal(size=(6, 16, 16, 3)), jnp.float32)
  return Batch(image, jnp.arange(6) % 3, jnp.arange(6))


@pytest.fixture
def small(monkeypatch):
  """Leave deep networks few blocks and wide ones few channels: compiling them is what costs."""
  shorten(monkeypatch)
  monkeypatch.setitem(convnext.MODELS['convnext_atto'].keywords, 'widths', (12, 16, 20, 24))
  monkeypatch.setattr(imagenet_resnet, '_WIDTHS', (8, 10, 12, 14))
  monkeypatch.setattr(choice, '_WINOGRAD_CHANNELS', 10_000)
  monkeypatch.setattr(vgg, '_WIDTHS', (8, 10, 12, 14, 16))
  for family in (mobilenetv2.MobileNetV2, mobilenetv2.MobileNetV2TinyImageNet):
    monkeypatch.setattr(family, 'stages_of_rows', ((1,), (2,)))


def flat(tree):
  return traverse_util.flatten_dict(tree, sep='/')


@pytest.mark.parametrize('family', SMALL)
def test_a_step_moves_every_parameter_of_a_student(family, dataset, teacher, batch, fill, small):
  cohort = cohorts.assemble(
    # No weight decay: what moves is moved by the loss.
    [
      Member(
        'PIDKD',
        SMALL[family],
        'pidkd_published',
        {'num_projectors': 2},
        OptimizerHparams(RATE, 0.0),
        0,
      )
    ],
    teacher=teacher,
    dataset=dataset,
    image=jax.ShapeDtypeStruct(batch.image.shape, jnp.float32),
    optimizer=Optimizer(3, (6,), 0.1, 0.9),
    key=jax.random.key(0),
  )
  [(name, shapes)] = jax.eval_shape(cohort.init, batch).items()
  # Random throughout, as biases of zero would leave more parameters without a gradient.
  variables = fill(shapes.variables)
  start = jax.tree.map(np.array, variables)
  blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
  state = blank.replace(
    params=variables.pop('params'), collections=variables, bad_step=jnp.int32(-1)
  )
  state = cohort.step({name: state}, batch, jnp.int32(0))[name]
  loss = state.loss_sums['loss']
  assert np.isfinite(loss) and loss > 0 and state.bad_step == -1

  # After one step without decay the momentum is the gradient.
  [gradient] = (part.trace for part in state.opt_state if isinstance(part, optax.TraceState))
  before, after, gradient = (
    flat(params['student']) for params in (start['params'], state.params, gradient)
  )
  assert before.keys() == after.keys() == gradient.keys()
  assert not {path for path in before if re.match('classifier|last', path)}
  shifts = {path for path in gradient if re.fullmatch(SHIFTS.get(family, '-'), path)}
  assert bool(shifts) == (family in SHIFTS)
  size = {path: np.sqrt(np.mean(np.square(value))) for path, value in gradient.items()}
  assert {path for path, value in size.items() if not 1e-5 < value < 10} == shifts
  assert not {path for path in shifts if size[path] > 2e-6}
  for path in before.keys() - shifts:
    np.testing.assert_allclose(
      after[path], before[path] - RATE * gradient[path], rtol=1e-5, atol=1e-7
    )
    assert np.any(after[path] != before[path]), path

  before, after = (
    flat(tree.get('student', {}))
    for tree in (start['batch_stats'], state.collections['batch_stats'])
  )
  assert before.keys() == after.keys()
  assert not {path for path in before if np.any(before[path] == after[path])}
