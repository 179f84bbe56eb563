"""Our step in a process of its own, because XLA reads its flags once."""

import json
import os
import pathlib
import subprocess
import sys

from benchmarks.gpu import job
from benchmarks.gpu.part import Place, Row

PRECISION = 'bfloat16'


def step(place: Place, flags: str, programs: pathlib.Path) -> Row:
  """Measure the first call, which tunes and compiles, and a step afterwards.

  Args:
    flags: of XLA, beside those of the environment.
    programs: the folder of compiled programs and tuning results.

  Raises:
    job.Failed: the process ends with another status than 0.
  """
  env = os.environ | {
    'JAX_COMPILATION_CACHE_DIR': str(programs),
    'XLA_FLAGS': f'{os.environ.get("XLA_FLAGS", "")} {flags}'.strip(),
  }
  done = subprocess.run(
    [sys.executable, '-m', 'benchmarks.gpu.step_time', PRECISION, *['--short'] * place.short],
    cwd=job.ROOT,
    env=env,
    capture_output=True,
    text=True,
  )
  if done.returncode:
    raise job.Failed(job.last_line(done.stderr))
  return json.loads(done.stdout)
