"""A worker for the tests: python -m tests.latency.fake_worker NAME KIND [LOG]"""

import os
import pathlib
import sys
import time

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.latency import worker


def _slow(images: np.ndarray) -> np.ndarray:
  """Take a hundredth of a second for each image."""
  time.sleep(0.01 * len(images))
  return np.zeros((len(images), 3), np.float32)


def _logged(log: pathlib.Path):
  """Log who was called with how many images."""

  def run(images):
    with log.open('a') as file:
      file.write(f'{sys.argv[1]} {images.dtype}{list(images.shape)}\n')
    return np.zeros((len(images), 3), np.float32)

  return run


def _refusing():
  raise UserError('it does not like this machine')


def _placed():
  raise UserError(f'JAX_PLATFORMS={os.environ["JAX_PLATFORMS"]}')


def _broken(images: np.ndarray) -> np.ndarray:
  raise RuntimeError('out of order')


if __name__ == '__main__':
  _, name, kind, *log = sys.argv
  runs = {
    'slow': lambda: _slow,
    'logged': lambda: _logged(pathlib.Path(*log)),
    'refusing': _refusing,
    'placed': _placed,
    'broken': lambda: _broken,
  }
  worker.serve(runs[kind])
