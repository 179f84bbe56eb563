"""Print the milliseconds of our step, which needs a process of its own for its flags."""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import argparse

from benchmarks.gpu.training import PRECISIONS, Training

del app

if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('precision', choices=PRECISIONS)
  parser.add_argument('--short', action='store_true')
  given = parser.parse_args()
  print(Training(given.short, given.precision).milliseconds())
