"""Initial values beside those that the authors' own constructors drew.

Tests of parity copy weights, so they cannot see how weights begin. `initial_values.json` holds the
standard deviation of each tensor over 6 to 60 draws of the authors' modules with 100 classes (200
for Tiny-ImageNet): of RepDistiller, SimKD and mdistiller for networks, which agree where they share
one; of SimKD, ReviewKD and PEFD for methods. Kinds are told apart by the largest value: of a
uniform distribution it is 1.73 standard deviations. Norms begin at 1 and 0 everywhere.
"""

import json
import pathlib
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pidkd_jax import methods, models
from pidkd_jax.bundles import torch_names
from pidkd_jax.core.types import Batch, Features
from pidkd_jax.models.network import TeacherOutputs
from tests.given import Examples, Given

TABLE = json.loads(pathlib.Path(__file__).with_name('initial_values.json').read_text())
# Networks that differ in depth alone have the same layers, so the shallowest stands for them.
DEEPER = r'resnet(20|32|38|44|56|110|116)(x[24])?|resnet14(x4)?|vgg1.|wrn_40_.'
NETWORKS = [name for name in TABLE['networks'] if not re.fullmatch(DEEPER, name)]


@pytest.fixture(scope='module')
def initializers():
  """Return a function that gives {path of a parameter: a draw}, and initialises only shapes.

  Parameters of one initialiser and shape share a draw. NumPy draws in place of `jax.random`, whose
  every shape is a compilation.
  """
  drawn = {}

  def draw_anew(init, arguments):
    seed = zlib.crc32(repr(arguments).encode())
    rng = np.random.default_rng(seed)

    def normal(key, shape, dtype):
      return rng.standard_normal(shape).astype(dtype)

    def uniform(key, shape, dtype, low, high):
      return rng.uniform(low, high, shape).astype(dtype)

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(jax.random, 'normal', normal)
      patch.setattr(jax.random, 'uniform', uniform)
      return np.asarray(init(jax.random.key(seed), *arguments))

  def draw(init, arguments):
    try:
      if (init, arguments) not in drawn:
        drawn[init, arguments] = draw_anew(init, arguments)
      return drawn[init, arguments]
    except TypeError:  # An array among the arguments has no hash.
      return draw_anew(init, arguments)

  def collect(initialise, *arguments):
    used, param = {}, nn.Module.param

    def record(module, name, init_fn, *init_args, **options):
      used['/'.join((*module.path, name))] = init_fn, init_args
      return param(module, name, init_fn, *init_args, **options)

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(nn.Module, 'param', record)
      jax.eval_shape(initialise, *arguments)
    return {path: draw(*each) for path, each in used.items()}

  return collect


def check(path, value, kind, deviation):
  """Raise if a draw is not of this kind and standard deviation."""
  if kind == 'constant':
    np.testing.assert_allclose(value, deviation, rtol=1e-6, err_msg=path)
    return
  assert np.ptp(value) > 0, f'{path} is constant'
  measured = np.sqrt(np.mean(np.square(value)))
  # Both are measured. The least factor between two rules is 1.4, and 1.7 between most.
  assert measured == pytest.approx(deviation, rel=0.03 + 3 / np.sqrt(2 * value.size)), path
  if value.size > 300:
    assert (np.max(np.abs(value)) < 1.9 * measured) == (kind == 'uniform'), path


@pytest.mark.parametrize('name', NETWORKS)
def test_a_network_begins_as_its_authors(name, initializers):
  model = models.create(name, num_classes=200 if 'TinyImageNet' in name else 100)
  drawn = initializers(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  family = type(model).__name__
  ours = {torch_names.key(family, ('params', *path.split('/'))): x for path, x in drawn.items()}
  theirs = {
    key: (kind, float(deviation))
    for kind, values in TABLE['networks'][name]['values'].items()
    for deviation, keys in values.items()
    for key in keys
  }
  assert theirs.keys() <= ours.keys()
  for key, (kind, deviation) in theirs.items():
    check(key, ours[key], kind, deviation)
  for key in ours.keys() - theirs.keys():  # Norms.
    np.testing.assert_array_equal(ours[key], 1 if key.endswith('weight') else 0, err_msg=key)


def features():
  """Return the shapes of resnet32x4's features of ten images, which are also resnet8x4's."""
  sizes = ((32, 32), (32, 64), (16, 128), (8, 256))
  maps = tuple(jnp.zeros((10, side, side, channels)) for side, channels in sizes)
  return Features(maps, maps, maps[-1], jnp.zeros((10, 256)))


@pytest.mark.parametrize('name', TABLE['methods'])
def test_a_method_begins_as_its_authors(name, initializers):
  begins(name, initializers)


# The published setting, PIDKD's own and SimKD's in its scale.
@pytest.mark.parametrize('name', ['pidkd_published', 'pidkd', 'simkd'])
def test_projectors_begin_as_simkds(name, initializers):
  begins(name, initializers, 'simkd_published')


def begins(name, initializers, table=None):
  target = features()
  on_image = (table or name) == 'simkd_published'
  method = methods.create(name)(
    student=Given() if on_image else None, target=target, dataset=Examples.of(500, num_classes=100)
  )
  index = jnp.zeros(10, jnp.int32)
  seen = TeacherOutputs(Linear(), target, jnp.zeros((10, 100)))
  rngs = {'params': jax.random.key(0), 'method': jax.random.key(1)}
  if on_image:
    arguments = Batch(target.stages[-1], index, index), seen

    def initialise(rngs, batch, seen):
      return method.init_with_output(rngs, batch, seen, progress=1.0, method='loss')
  else:
    arguments = target, seen, Batch(None, index, index)

    def initialise(rngs, ours, seen, batch):
      return method.init_with_output(rngs, ours, seen, batch, jnp.float32(1), method='terms')

  drawn = initializers(initialise, rngs, *arguments)
  expected = TABLE['methods'][table or name]
  assert drawn.keys() == expected.keys()
  for path, (kind, deviation) in expected.items():
    check(path, drawn[path], kind, deviation)


@jax.tree_util.register_static
class Linear:
  """In place of the teacher's network: it only classifies."""

  def classify(self, pooled):
    return jnp.zeros((len(pooled), 100)) + jnp.sum(pooled)
