"""PyTorch, the networks that are written in it, and files of it."""

import importlib

import pytest


@pytest.fixture(scope='module')
def torch():
  torch = pytest.importorskip('torch', reason="compares with PyTorch: pip install '.[test]'")
  # Its threads wait for one another, which takes long while other tests use the cores.
  threads = torch.get_num_threads()
  torch.set_num_threads(1)
  yield torch
  torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def networks(torch):
  return importlib.import_module('benchmarks.pytorch.networks')


@pytest.fixture(scope='module')
def simkd(torch):
  return importlib.import_module('benchmarks.pytorch.simkd')


@pytest.fixture
def saved(torch, tmp_path):
  """Return a function that saves something with PyTorch and returns the path."""

  def saved(content, **settings):
    torch.save(content, tmp_path / 'file.pth', **settings)
    return tmp_path / 'file.pth'

  return saved
