"""A teacher for runs on noise, and what makes many runs of one kind cheap."""

import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data import loading, noise
from pidkd_jax.models.network import Network
from pidkd_jax.report import figures


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


@pytest.fixture(scope='module')
def read_once():
  """Let the runs of a module share what they read into memory, as its images are those of before.

  A test whose data change on the way streams them, or patches what is loaded.
  """
  read, known = loading._read_into_memory, {}

  def read_new(*splits):
    key = tuple((str(one.builder.data_dir), one.split, one.side) for one in splits)
    if key not in known:
      known[key] = read(*splits)
    return known[key]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(loading, '_read_into_memory', read_new)
    yield


@pytest.fixture
def undrawn(monkeypatch):
  """Let reports have the figures of the run in a folder named `whole`, and no others."""
  save = figures.save

  def save_some(names, comparison, baseline, folder):
    return save(names if 'whole' in folder.parts else (), comparison, baseline, folder)

  monkeypatch.setattr(figures, 'save', save_some)
