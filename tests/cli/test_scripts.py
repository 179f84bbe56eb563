"""The scripts as a user starts them: exit status and kill -9; mistakes: test_mistakes.py."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import small
from tests.small import ROOT


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('scripts')


@pytest.fixture
def command(home):
  """The main job, small; `folder` is the run's."""

  def command(folder, *more):
    return small.command(folder, home / 'tfds', 'pidkd', '--config.total_epochs=3', *more)

  return command


def run(command, environment):
  return subprocess.run(
    command, env=environment, capture_output=True, text=True, check=False, timeout=300
  )


def wait_for_checkpoint(process, folder, least):
  """Returns when a checkpoint of at least that step is there."""
  deadline = time.monotonic() + 240
  while time.monotonic() < deadline and process.poll() is None:
    steps = [int(path.name) for path in folder.glob('checkpoints/*') if path.name.isdigit()]
    if steps and max(steps) >= least:
      return
    time.sleep(0.01)
  pytest.fail(f'no checkpoint of step {least}: {process.poll()}')


def test_killed_twice_and_once_asked_to_stop_the_result_is_the_same(command, environment, home):
  whole = home / 'whole'
  done = run(command(whole), environment)
  assert done.returncode == 0, done.stderr
  assert re.search(r'(?m)^pidkd resnet8\*0.25 ', done.stdout)

  killed = home / 'killed'
  for stop, step in ((signal.SIGKILL, 4), (signal.SIGKILL, 12), (signal.SIGTERM, 20)):
    with subprocess.Popen(
      command(killed), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
      wait_for_checkpoint(process, killed, step)
      process.send_signal(stop)
      _, said = process.communicate(timeout=120)
    assert process.returncode == (143 if stop == signal.SIGTERM else -stop)
  assert said.strip().splitlines()[-1].startswith('stopped by SIGTERM at step')
  done = run(command(killed), environment)
  assert done.returncode == 0, done.stderr
  assert 'goes on at step' in done.stderr
  assert small.result(killed) == small.result(whole)

  # The bundle is evaluated by another process, to the same digits.
  evaluate = [
    sys.executable,
    str(ROOT / 'scripts' / 'evaluate.py'),
    f'--bundle={whole / "bundles" / "pidkd-0"}',
    f'--data_dir={home / "tfds"}',
    '--projectors',
  ]
  done = run(evaluate, environment)
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  measures = [line for line in lines if line.endswith('as in the card')]
  apart = [line for line in lines if line.startswith('projector ')]
  assert len(measures) == 6 and max(map(len, lines[1:])) <= 80
  # The mean of the projectors comes nearer to the teacher than they do on average.
  [whole] = (float(line.split()[1]) for line in measures if 'alignment_error' in line)
  alone = [float(line.rpartition(' ')[2]) for line in apart]
  assert len(alone) == 2 and np.mean(alone) > whole > 0


def test_benchmark_prints_its_table(environment):
  done = run(
    [
      sys.executable,
      str(ROOT / 'scripts' / 'benchmark.py'),
      '--teacher=resnet8*0.25',
      '--student=resnet8*0.25',
      '--image_size=8',
      '--batch_size=4',
      '--steps=1',
      '--rounds=1',
      '--num_classes=3',
      '--set=num_projectors=1',
      '--set=factor=16',
    ],
    environment,
  )
  assert done.returncode == 0, done.stderr
  for what in (
    'training step',
    "teacher's forward pass",
    'evaluation',
    'cold',
    'warm',
    'peak memory',
  ):
    assert what in done.stdout
