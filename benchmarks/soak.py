"""Watch a long training: its memory and its open files must not grow.

python -m benchmarks.soak --minutes 60

`pidkd train` trains small networks on the digits. It evaluates every epoch and saves a checkpoint
every two seconds, so an hour has thousands of both. Its resident memory and its open files are read
every ten seconds. Their medians over the second quarter of the time, when all programs are
compiled, are compared with those over the last quarter.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.gpu.job import FIRST_STEP

MAIN = pathlib.Path(__file__).resolve().parents[1] / 'scripts' / 'main.py'
CONFIG = MAIN.parents[1] / 'configs' / 'digits.py'
EVERY_SECONDS = 10
ALLOWED = 1.02


def main() -> int:
  """Return the exit status: 1 if something grew."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=60.0)
  minutes = parser.parse_args().minutes
  with tempfile.TemporaryDirectory() as home:
    command = [
      sys.executable,
      str(MAIN),
      f'--config={CONFIG}:pidkd,crd',
      f'--workdir={home}/run',
      '--config.student=resnet8*0.25',
      '--config.compare.crd.num_negatives=64',
      '--config.teacher.model=resnet8*0.25',
      '--config.teacher.total_epochs=1',
      '--config.total_epochs=10000000',
      '--config.checkpoint_seconds=2',
      '--verbose',
    ]
    with (
      open(f'{home}/log', 'w+') as log,
      subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log) as job,
    ):
      while job.poll() is None and not FIRST_STEP.search(pathlib.Path(log.name).read_text()):
        time.sleep(1)
      memory, files = _watch(job, 60 * minutes)
      job.kill()
    rows = pathlib.Path(home, 'run', 'metrics.jsonl').read_text().count('\n')
  warm, late = (slice(len(memory) * i // 4, len(memory) * (i + 1) // 4) for i in (1, 3))
  grown = statistics.median(memory[late]) / statistics.median(memory[warm])
  print(f'{minutes:g} minutes, {rows} rows of metrics, {len(memory)} readings')
  for name, values, unit in (('memory', memory, ' MiB'), ('open files', files, '')):
    print(
      f'{name}: second quarter {statistics.median(values[warm]):.0f}{unit}, last quarter '
      f'{statistics.median(values[late]):.0f}{unit}, most {max(values):.0f}{unit}'
    )
  return int(grown > ALLOWED or statistics.median(files[late]) > statistics.median(files[warm]) + 1)


def _watch(job: subprocess.Popen, seconds: float) -> tuple[list[float], list[float]]:
  """Read resident memory (MiB) and open files of a job again and again."""
  memory, files = [], []
  process = pathlib.Path('/proc', str(job.pid))
  ends = time.monotonic() + seconds
  while time.monotonic() < ends and job.poll() is None:
    [kib] = (
      line.split()[1]
      for line in (process / 'status').read_text().splitlines()
      if line.startswith('VmRSS')
    )
    memory.append(int(kib) / 1024)
    files.append(len(list((process / 'fd').iterdir())))
    time.sleep(EVERY_SECONDS)
  if job.poll() is not None:
    sys.exit(f'the job ended by itself with status {job.returncode}')
  return memory, files


if __name__ == '__main__':
  sys.exit(main())
