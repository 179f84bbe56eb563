"""The examples in docstrings run, and what a user calls has one."""

import doctest
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pidkd_jax as kd
from pidkd_jax import nn

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODULES = [
  '.'.join(path.relative_to(ROOT).with_suffix('').parts)
  for path in sorted((ROOT / 'pidkd_jax').rglob('*.py'))
  if '>>> ' in path.read_text()
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_run(name):
  module = importlib.import_module(name.removesuffix('.__init__'))
  failed, _ = doctest.testmod(module, extraglobs={'jax': jax, 'jnp': jnp, 'np': np, 'kd': kd})
  assert not failed


def test_each_public_layer_and_function_has_an_example():
  public = {name: getattr(nn, name) for name in nn.__all__}
  assert not [name for name, x in public.items() if callable(x) and '>>> ' not in x.__doc__]
