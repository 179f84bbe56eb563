"""A teacher for runs on noise."""

import pathlib

import jax
import jax.numpy as jnp
import pytest

from pidkd_jax import models
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.data import noise
from pidkd_jax.models.network import Network


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
