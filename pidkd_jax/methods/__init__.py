"""Distillation methods: one method a file, and a catalog that creates them by name.

    spec = methods.method('pidkd', num_projectors=4)

A file adds methods to the catalog by a dictionary `METHODS`, {name: class or functools.partial of
one}. Hyper-parameters are the fields that the partial leaves free.
"""

from pidkd_jax.methods.base import Method
from pidkd_jax.methods.catalog import MethodSpec, create, defaults, method, names
from pidkd_jax.methods.documentation import meanings, summary
from pidkd_jax.methods.harness import Harness

__all__ = [
  'Harness',
  'Method',
  'MethodSpec',
  'create',
  'defaults',
  'meanings',
  'method',
  'names',
  'summary',
]
