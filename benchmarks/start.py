"""Time the start of `pidkd train`: from the command to its first training step, cold and warm.

python -m benchmarks.start --config configs/cifar100.py --config.teacher.bundle=DIR ...

All arguments go to `pidkd train`; the run's folder is removed afterwards. A cold start has empty
caches, a warm start has those that the cold start left. Prepare the data beforehand.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

MAIN = pathlib.Path(__file__).resolve().parents[1] / 'scripts' / 'main.py'
DONE = 'students: compiled, first step done'


def main(arguments: list[str]) -> int:
  """Return the exit status."""
  with tempfile.TemporaryDirectory() as home:
    for kind in ('cold', 'warm'):
      seconds = _start([*arguments, f'--workdir={home}/{kind}'], f'{home}/caches')
      if seconds is None:
        return 1
      print(f'{kind}: {seconds:.1f} s from the command to the end of the first step', flush=True)
  return 0


def _start(arguments: list[str], caches: str) -> float | None:
  """Return the seconds. If the job ends before its first step, print its last lines: None."""
  started = time.monotonic()
  with subprocess.Popen(
    [sys.executable, str(MAIN), *arguments],
    env=os.environ | {'XDG_CACHE_HOME': caches},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  ) as job:
    lines = []
    for line in job.stderr:
      lines.append(line)
      if DONE in line:
        seconds = time.monotonic() - started
        job.send_signal(signal.SIGKILL)
        return seconds
  print(*lines[-3:], sep='', end='', file=sys.stderr)
  return None


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
