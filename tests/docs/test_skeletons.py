"""The methods and networks that the documents show as skeletons run."""

import pathlib
import re

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import models
from pidkd_jax.core.types import Batch
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network, TeacherOutputs

DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'
IMAGES = jnp.zeros((2, 8, 8, 3))


def skeleton(page, name):
  """Return the names that the first Python block with `name` defines."""
  blocks = re.findall(r'^```python\n(.*?)^```', (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
  block = next(block for block in blocks if name in block)
  namespace = {'__name__': 'skeleton'}
  exec(compile(block, page, 'exec'), namespace)
  return namespace


@pytest.mark.parametrize('page', ['explanation/design.md', 'tutorials/own-method.md'])
def test_a_method(page):
  [method] = skeleton(page, 'METHODS =')['METHODS'].values()

  def terms(key):
    model = models.create('resnet8', num_classes=10)
    network = Network(model.init(key, IMAGES), model)
    features = network.encode(IMAGES)
    teacher = TeacherOutputs(network, features, network.classify(features.pooled))
    batch = Batch(IMAGES, jnp.zeros(2, int), jnp.arange(2))
    module = method(student=model, target=features, dataset=None)
    return module.init_with_output(
      key, batch, teacher, progress=jnp.float32(1), method='loss', mutable=True
    )[0]

  shapes = jax.eval_shape(terms, jax.random.key(0))
  assert {name: term.shape for name, term in shapes.items()} == {
    'cross_entropy': (2,),
    'soft_target': (2,),
    'gap': (2,),
  }


def _logits(model):
  return jax.eval_shape(lambda key: model.init_with_output(key, IMAGES)[0], jax.random.key(0))


def test_a_network():
  [make] = skeleton('explanation/design.md', 'MODELS =')['MODELS'].values()
  assert _logits(make(num_classes=10)).shape == (2, 10)


def test_a_network_of_ones_own():
  own = skeleton('how-to/own-network.md', 'class Tiny(Model)')['Tiny']
  assert issubclass(own, Model)
  assert _logits(own(num_classes=10)).shape == (2, 10)
