"""A teacher for runs on noise, and what makes many runs of one kind cheap."""

import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data import noise
from pidkd_jax.models.network import Network
from pidkd_jax.report.figures import canvas

# The first bytes of a PNG file.
PNG = b'\x89PNG\r\n\x1a\n'


@pytest.fixture(scope='module')
def taught():
  """Return the bundle of a teacher with random weights, for three classes of 8x8 images."""
  model = models.create('tests.plain:Plain', num_classes=3)
  variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
  normalisation = noise.dataset(32, 8, 3).spec.normalisation
  card = {
    'dataset': {'mean': normalisation.mean, 'std': normalisation.std},
    'model': models.describe(model),
  }
  return Bundle(Network(variables, model), card, 'toy', pathlib.Path('toy'))


@pytest.fixture(scope='module')
def compiled_once(tmp_path_factory):
  """Let the runs of a module share compiled programs, as the runs of a user do."""
  options = {
    'jax_compilation_cache_dir': str(tmp_path_factory.mktemp('xla')),
    'jax_persistent_cache_min_compile_time_secs': 0.0,
  }
  before = {name: getattr(jax.config, name) for name in options}
  for values in options, before:
    for name, value in values.items():
      jax.config.update(name, value)
    compilation_cache.reset_cache()
    if values is options:
      yield


@pytest.fixture
def undrawn(monkeypatch):
  """Let reports make all figures, and draw only those of the run in a folder named `whole`."""
  save = canvas.save

  def save_some(figure, path):
    save(figure, path) if 'whole' in path.parts else path.write_bytes(PNG)

  monkeypatch.setattr(canvas, 'save', save_some)
