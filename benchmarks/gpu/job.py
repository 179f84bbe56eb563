"""Jobs: `pidkd train` in processes of their own, on data of random numbers."""

import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.gpu.part import Place

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Lines of `pidkd train --verbose` after the students' first step: of programs that were compiled
# ahead, and of a call of many steps.
FIRST_STEP = re.compile(r'students: (first step|compiling a call .*) took')
CLASSES = 100


class Failed(Exception):
  """A job has ended with another status than 0; the text is its last line."""


def archive(place: Place) -> pathlib.Path:
  """Return an archive in CIFAR-100's layout, with random images in the official numbers."""
  path = place.shared / 'noise.tar.gz'
  if not path.exists():
    partial = path.with_suffix('.partial')
    train, test = (200, 100) if place.short else (50_000, 10_000)
    with tarfile.open(partial, 'w:gz', compresslevel=1) as tar:
      for name, content in _members(train, test).items():
        info = tarfile.TarInfo(f'cifar-100-binary/{name}')
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    partial.replace(path)
  return path


def _members(train: int, test: int) -> dict[str, bytes]:
  random = np.random.default_rng(0)

  def records(count):
    # A record: coarse label, fine label, pixels.
    fine = np.arange(count) % CLASSES
    pixels = random.integers(0, 256, (count, 3072))
    return np.column_stack([fine // 5, fine, pixels]).astype(np.uint8).tobytes()

  def names(kind, count):
    return ''.join(f'{kind}_{i}\n' for i in range(count)).encode()

  return {
    'train.bin': records(train),
    'test.bin': records(test),
    'fine_label_names.txt': names('fine', CLASSES),
    'coarse_label_names.txt': names('coarse', CLASSES // 5),
  }


def data(place: Place) -> list[str]:
  """Return the fields of a job's data."""
  return [
    f'--config.data.archive={archive(place)}',
    '--config.data.verify=False',
    f'--config.data.dir={place.shared / "tfds"}',
  ]


def command(config: str, workdir: pathlib.Path, *fields: str) -> list[str]:
  """Return the command line of `pidkd train`; the config is a file of configs/, as FILE[:ARG]."""
  return [
    sys.executable,
    str(ROOT / 'scripts' / 'main.py'),
    f'--config={ROOT / "configs" / config}',
    f'--workdir={workdir}',
    '--verbose',
    *fields,
  ]


def networks(place: Place) -> list[str]:
  """Return the fields of toys; the configuration's own networks in full size."""
  if not place.short:
    return []
  return [
    '--config.student=resnet8*0.25',
    '--config.teacher.model=resnet8*0.25',
    '--config.method.num_projectors=1',
    '--config.method.factor=8',
  ]


def environment(caches: pathlib.Path) -> dict[str, str]:
  """Return a job's environment, with the user's caches in a folder."""
  return os.environ | {'XDG_CACHE_HOME': str(caches)}


def finish(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
  """Run a job to its end; return its seconds and what it printed.

  Raises:
    Failed: its status is not 0.
  """
  started = time.monotonic()
  done = subprocess.run(
    command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  )
  if done.returncode:
    raise Failed(last_line(done.stdout))
  return time.monotonic() - started, done.stdout


def kill_after(line: re.Pattern, command: Sequence[str], env: Mapping[str, str]) -> float:
  """Run a job until a line matches, then kill it by SIGKILL; return the seconds until then.

  Raises:
    Failed: it has ended before.
  """
  started = time.monotonic()
  with subprocess.Popen(
    command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  ) as job:
    text = ''
    for text in job.stdout or ():
      if line.search(text):
        seconds = time.monotonic() - started
        job.send_signal(signal.SIGKILL)
        return seconds
  raise Failed(last_line(text))


def last_line(text: str) -> str:
  """Return the last line of a job's output."""
  return (text.strip().splitlines() or ['it printed nothing'])[-1]
