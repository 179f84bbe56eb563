"""timm's networks, beside a PyTorch without CUDA."""

import functools
import importlib

import numpy as np
import pytest

from pidkd_jax.bundles import torch_libraries
from pidkd_jax.core.errors import UserError


@functools.cache
def load(library='timm'):
  """Return a module of timm or torchvision, or skip the test.

  Importing timm imports torchvision, whose wheel is for PyTorch with CUDA.
  """
  pytest.importorskip('torch')
  try:
    with torch_libraries._importable():
      return importlib.import_module(library)
  except UserError as error:
    pytest.skip(str(error))


def shapes(name, num_classes=10):
  """Return {key: shape} of a network's state dict, without norms' counters and without values."""
  timm = load()
  import torch

  with torch.device('meta'):
    state = timm.create_model(name, num_classes=num_classes).state_dict()
  return {
    key: tuple(value.shape)
    for key, value in state.items()
    if not key.endswith('num_batches_tracked')
  }


def random(name, num_classes=10, seed=0, **settings):
  """Return a network in inference mode, and its random state dict, in numpy.

  Kernels keep the size of a map, and norms' statistics differ from 0 and 1.
  """
  timm = load()
  import torch

  network = timm.create_model(name, num_classes=num_classes, **settings).eval()
  rng = np.random.default_rng(seed)
  state = {}
  for key, value in network.state_dict().items():
    shape = tuple(value.shape)
    if key.endswith('num_batches_tracked'):
      continue
    if len(shape) > 1:
      drawn = rng.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]))
    elif key.endswith(('weight', 'running_var')):
      drawn = rng.uniform(0.5, 1.5, shape)
    else:
      drawn = 0.3 * rng.standard_normal(shape, np.float32)
    state[key] = drawn.astype(np.float32)
  network.load_state_dict(
    {key: torch.from_numpy(value) for key, value in state.items()}, strict=False
  )
  return network, state
