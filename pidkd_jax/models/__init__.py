"""Models: one family a file, and a catalog that creates them by name.

    model = models.create('resnet14', num_classes=10)

A file adds models to the catalog by a dictionary `MODELS`, {name: functools.partial(Family, ...)}.
"""

from pidkd_jax.models.base import Model
from pidkd_jax.models.catalog import create, names
from pidkd_jax.models.description import (
  Family,
  Own,
  build,
  check_layers,
  describe,
  families,
  own_families,
)
from pidkd_jax.models.distilled import Distilled
from pidkd_jax.models.network import Network

__all__ = [
  'Distilled',
  'Family',
  'Model',
  'Network',
  'Own',
  'build',
  'check_layers',
  'create',
  'describe',
  'families',
  'names',
  'own_families',
]
