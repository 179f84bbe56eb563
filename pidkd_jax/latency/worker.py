"""The process of one subject, which answers when it is told to, so that its memory is its own.

Imports no runtime: what a subject does not need does not count as its memory.
"""

import json
import pathlib
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from pidkd_jax.core.errors import UserError

# uint8 images [N, H, W, C] -> float32 logits [N, K], both on the host.
Runner = Callable[[np.ndarray], np.ndarray]

# Calls that do not count: the first compiles, the next ones fill caches.
_WARM_UP = 3
_LEAST_CALLS = 3


def serve(load: Callable[[], Runner]) -> None:
  """Loads a subject and runs it as the process's input says, until that ends.

  Each line of the input is a JSON object: 'shape' of a batch, and 'calls' or, where they are not
  known yet, the 'seconds' that they should take together. It answers with a line of 'seconds', one
  for each call, and 'peak_bytes'.
  """
  try:
    run = load()
    for line in sys.stdin:
      asked = json.loads(line)
      images = np.random.default_rng(0).integers(0, 256, asked['shape'], np.uint8)
      calls = asked['calls'] or _calls(run, images, asked['seconds'])
      seconds = [_timed(run, images) for _ in range(calls)]
      print(json.dumps({'seconds': seconds, 'peak_bytes': _peak()}), flush=True)
  except UserError as error:
    sys.exit(str(error))


def _calls(run: Runner, images: np.ndarray, seconds: float) -> int:
  """How many calls take about so many seconds, after the warm-up."""
  for _ in range(_WARM_UP):
    run(images)
  return max(_LEAST_CALLS, round(seconds / min(_timed(run, images) for _ in range(_LEAST_CALLS))))


def _timed(run: Runner, images: np.ndarray) -> float:
  started = time.perf_counter()
  run(images)
  return time.perf_counter() - started


def _peak() -> int:
  """Bytes: the accelerator's where JAX runs on one, else the most that this process ever had."""
  used = _of_accelerator()
  if used:
    return used
  status = pathlib.Path('/proc/self/status')
  if status.exists():
    # ru_maxrss is at least what the process had that started this one.
    [line] = (line for line in status.read_text().splitlines() if line.startswith('VmHWM:'))
    return 1024 * int(line.split()[1])
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Bytes on macOS.


def _of_accelerator() -> int | None:
  if 'jax' not in sys.modules:  # Another runtime answers.
    return None
  stats = sys.modules['jax'].devices()[0].memory_stats()
  return stats and stats['peak_bytes_in_use']
