"""Time the start of `pidkd train`: from the command to its first training step, cold and warm.

python -m benchmarks.start --config configs/cifar100.py --config.teacher.bundle=DIR ...

All arguments go to `pidkd train`; the run's folder is removed afterwards. A cold start has empty
caches, a warm start has those that the cold start left. Prepare the data beforehand.
"""

import pathlib
import sys
import tempfile

from benchmarks.gpu import job

MAIN = pathlib.Path(__file__).resolve().parents[1] / 'scripts' / 'main.py'


def main(arguments: list[str]) -> int:
  """Return the exit status."""
  with tempfile.TemporaryDirectory() as home:
    for kind in ('cold', 'warm'):
      command = [sys.executable, str(MAIN), *arguments, f'--workdir={home}/{kind}', '--verbose']
      try:
        seconds = job.kill_after(
          job.FIRST_STEP, command, job.environment(pathlib.Path(home, 'caches'))
        )
      except job.Failed as failed:
        print(failed, file=sys.stderr)
        return 1
      print(f'{kind}: {seconds:.1f} s from the command to the end of the first step', flush=True)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
