"""Print our step's times, which need a process of their own for their flags, as JSON."""

from pidkd_jax.cli import app  # First: it sets the process up before JAX is imported.

import argparse
import json

from benchmarks import comparison
from benchmarks.gpu.training import PRECISIONS, Training

del app

if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('precision', choices=PRECISIONS)
  parser.add_argument('--short', action='store_true')
  given = parser.parse_args()
  training = Training(given.short, given.precision)
  first = comparison.duration(training.train)
  print(json.dumps({'first call (s)': first, 'ms a step': training.milliseconds()}))
