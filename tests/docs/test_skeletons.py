"""The methods, networks and data sets that the documents show as skeletons run."""

import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import data, methods, models
from pidkd_jax.core.types import Batch
from pidkd_jax.models.base import Model
from pidkd_jax.models.network import Network, TeacherOutputs

DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'
IMAGES = jnp.zeros((2, 8, 8, 3))


def block(page, name):
  """Return the first Python block with `name`."""
  blocks = re.findall(r'^```python\n(.*?)^```', (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
  return next(block for block in blocks if name in block)


def skeleton(page, name):
  """Return the names that the first Python block with `name` defines."""
  namespace = {'__name__': 'skeleton'}
  exec(compile(block(page, name), page, 'exec'), namespace)
  return namespace


def _terms(method):
  """Return the shapes of a method's terms by name."""

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
  return {name: term.shape for name, term in shapes.items()}


def test_a_method():
  [method] = skeleton('explanation/design.md', 'METHODS =')['METHODS'].values()
  assert _terms(method) == {'cross_entropy': (2,), 'soft_target': (2,), 'gap': (2,)}


@pytest.fixture
def my_package(tmp_path, monkeypatch):
  """Return a function that writes a page's block into the file that its first line names."""

  def write(page, name):
    text = block(page, name)
    path = tmp_path / text.splitlines()[0].removeprefix('# ')
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)

  monkeypatch.syspath_prepend(tmp_path)
  yield write
  for module in [name for name in sys.modules if name.split('.')[0] == 'my_package']:
    del sys.modules[module]


def test_a_method_of_ones_own(my_package):
  my_package('tutorials/own-method.md', 'class Cosine(Harness)')
  name = 'my_package.my_methods:Cosine'
  assert methods.defaults(name)['weight'] == 1.0
  expected = {'cross_entropy': (2,), 'soft_target': (2,), 'cosine': (2,)}
  assert _terms(methods.create(name, weight=2.0)) == expected


def test_a_data_set_of_ones_own(my_package, tmp_path):
  my_package('how-to/own-dataset.md', 'class Noise(')
  dataset = data.load('my_package.my_data:Noise', directory=str(tmp_path / 'tfds'))
  assert (len(dataset.train), len(dataset.test)) == (256, 64)
  assert dataset.spec.image_shape == (16, 16, 3) and dataset.spec.num_classes == 2


def _logits(model):
  return jax.eval_shape(lambda key: model.init_with_output(key, IMAGES)[0], jax.random.key(0))


def test_a_network():
  [make] = skeleton('explanation/design.md', 'MODELS =')['MODELS'].values()
  assert _logits(make(num_classes=10)).shape == (2, 10)


def test_a_network_of_ones_own():
  own = skeleton('how-to/own-network.md', 'class Tiny(Model)')['Tiny']
  assert issubclass(own, Model)
  assert _logits(own(num_classes=10)).shape == (2, 10)
