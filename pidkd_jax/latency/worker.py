"""The process that runs one candidate on request, so that its memory is its own.

This module imports no runtime: a candidate's memory must not include another's runtime.
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

# Untimed calls: the first compiles, and the next ones fill caches.
_WARM_UP_CALLS = 3
_LEAST_CALLS = 3


def serve(load: Callable[[], Runner]) -> None:
  """Load a candidate and answer requests on standard input until it ends.

  A request is a line with a JSON object: 'shape' of a batch, 'calls', and 'seconds'. If 'calls' is
  0, the worker makes as many calls as take about 'seconds' together. The answer is a line with a
  JSON object: 'seconds', a list with one entry a call, and 'peak_bytes'.

  Args:
    load: returns the function that computes logits.
  """
  try:
    run = load()
    for line in sys.stdin:
      request = json.loads(line)
      images = np.random.default_rng(0).integers(0, 256, request['shape'], np.uint8)
      calls = request['calls'] or _count_calls(run, images, request['seconds'])
      seconds = [_time_call(run, images) for _ in range(calls)]
      print(json.dumps({'seconds': seconds, 'peak_bytes': _peak_bytes()}), flush=True)
  except UserError as error:
    sys.exit(str(error))


def _count_calls(run: Runner, images: np.ndarray, seconds: float) -> int:
  """Warm up, and return the number of calls that take about so many seconds."""
  for _ in range(_WARM_UP_CALLS):
    run(images)
  fastest = min(_time_call(run, images) for _ in range(_LEAST_CALLS))
  return max(_LEAST_CALLS, round(seconds / fastest))


def _time_call(run: Runner, images: np.ndarray) -> float:
  started = time.perf_counter()
  run(images)
  return time.perf_counter() - started


def _peak_bytes() -> int:
  """Return the accelerator's peak memory if JAX runs on one, else this process's."""
  accelerator = _accelerator_peak_bytes()
  if accelerator:
    return accelerator
  status = pathlib.Path('/proc/self/status')
  if status.exists():
    # ru_maxrss is at least the memory of the process that started this one.
    [line] = (
      line for line in status.read_text(encoding='utf-8').splitlines() if line.startswith('VmHWM:')
    )
    return 1024 * int(line.split()[1])
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Bytes on macOS.


def _accelerator_peak_bytes() -> int | None:
  if 'jax' not in sys.modules:  # Another runtime runs the candidate.
    return None
  stats = sys.modules['jax'].devices()[0].memory_stats()
  return stats and stats['peak_bytes_in_use']
