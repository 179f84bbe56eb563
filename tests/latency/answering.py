"""A subject of the tests: python -m tests.latency.answering FOLDER WHAT"""

import pathlib
import sys
import time

import numpy as np

from pidkd_jax.core.errors import UserError
from pidkd_jax.latency import worker


def _patient(images: np.ndarray) -> np.ndarray:
  """A hundredth of a second for each image."""
  time.sleep(0.01 * len(images))
  return np.zeros((len(images), 3), np.float32)


def _noted(log: pathlib.Path):
  """Writes down who was called with how many images."""

  def run(images):
    with log.open('a') as file:
      file.write(f'{sys.argv[1]} {images.dtype}{list(images.shape)}\n')
    return np.zeros((len(images), 3), np.float32)

  return run


def _refusing():
  raise UserError('it does not like this machine')


def _broken(images: np.ndarray) -> np.ndarray:
  raise RuntimeError('out of order')


if __name__ == '__main__':
  _, name, what, *log = sys.argv
  runs = {
    'patient': lambda: _patient,
    'noted': lambda: _noted(pathlib.Path(*log)),
    'refusing': _refusing,
    'broken': lambda: _broken,
  }
  worker.serve(runs[what])
