"""One part in a process of its own; `benchmarks.gpu` starts it."""

import time

STARTED = time.monotonic()

from pidkd_jax.cli import app  # Before JAX: it sets the process up.

import argparse
import os
import pathlib

import jax

from benchmarks.gpu import environment, runner
from benchmarks.gpu.part import take
from benchmarks.gpu.parts import PARTS

del app


def main() -> None:
  """Take the measurements of the part that the command line names."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('part')
  parser.add_argument('folder', type=pathlib.Path)
  parser.add_argument('seconds', type=float)
  parser.add_argument('--short', action='store_true')
  given = parser.parse_args()
  runner.end_with_parent()
  deadline = STARTED + given.seconds - runner.GRACE_SECONDS
  [part] = (part for part in PARTS if part.name == given.part)
  # The card's memory is also for PyTorch and for the jobs that a part starts.
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  place = runner.place(part, given.folder, given.short, environment.current())
  # Parts share programs, and a part that is resumed finds its own.
  jax.config.update('jax_compilation_cache_dir', str(place.programs))
  take(part, place, given.folder / f'{part.name}.json', deadline)


if __name__ == '__main__':
  main()
