"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

from pidkd_jax import nn

MODULES = sorted(info.name for info in pkgutil.iter_modules(nn.__path__))


@pytest.mark.parametrize('name', MODULES)
def test_examples_run(name):
  failed, _ = doctest.testmod(importlib.import_module(f'pidkd_jax.nn.{name}'))
  assert not failed


def test_each_public_layer_and_function_has_an_example():
  public = {name: getattr(nn, name) for name in nn.__all__}
  assert not [name for name, x in public.items() if callable(x) and '>>>' not in x.__doc__]
