"""The commands as a user starts them: exit status and kill -9; mistakes: test_mistakes.py."""

import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest

from tests import small


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('scripts')


@pytest.fixture
def command(home):
  """The main job on few digits; `folder` is the run's."""
  small.digits(home / 'tfds')
  batches = ('--config.batch_size=25', '--config.teacher.batch_size=50')

  def command(folder):
    return small.command(folder, home / 'tfds', 'pidkd', '--config.total_epochs=4', *batches)

  return command


def wait_for_checkpoint(running, folder, least):
  """Returns when a checkpoint of at least that step is there."""
  deadline = time.monotonic() + 240
  while time.monotonic() < deadline and running.is_alive():
    steps = [int(path.name) for path in folder.glob('checkpoints/*') if path.name.isdigit()]
    if steps and max(steps) >= least:
      return
    time.sleep(0.03)
  pytest.fail(f'no checkpoint of step {least}: {running.wait()}')


def test_killed_and_asked_to_stop_the_result_is_the_same(command, environment, home, forks):
  """The whole run is a process of its own; the others are forks, which start sooner."""
  whole = home / 'whole'
  done = subprocess.run(
    command(whole), env=environment, capture_output=True, text=True, check=False, timeout=300
  )
  assert done.returncode == 0, done.stderr
  assert re.search(r'(?m)^pidkd resnet8\*0.25 ', done.stdout)

  killed = home / 'killed'
  _, _, *arguments = command(killed)
  for stop, step in ((signal.SIGKILL, 3), (signal.SIGTERM, 8)):
    running = forks.start('train', arguments, home, environment, patience=300)
    wait_for_checkpoint(running, killed, step)
    os.kill(running.pid, stop)
    done = running.wait()
    assert done.returncode == (143 if stop == signal.SIGTERM else -stop)
  assert done.stderr.strip().splitlines()[-1].startswith('stopped by SIGTERM at step')
  done = forks.run('train', arguments, home, environment, patience=300)
  assert done.returncode == 0, done.stderr
  assert 'goes on at step' in done.stderr
  assert small.result(killed) == small.result(whole)

  # The bundle is evaluated by another process, to the same digits.
  evaluate = (f'--bundle={whole / "bundles" / "pidkd-0"}', f'--data_dir={home / "tfds"}')
  done = forks.run('evaluate', (*evaluate, '--projectors'), home, environment)
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  measures = [line for line in lines if line.endswith('as in the card')]
  apart = [line for line in lines if line.startswith('projector ')]
  assert len(measures) == 6 and max(map(len, lines[1:])) <= 80
  # The mean of the projectors comes nearer to the teacher than they do on average.
  [whole] = (float(line.split()[1]) for line in measures if 'alignment_error' in line)
  alone = [float(line.rpartition(' ')[2]) for line in apart]
  assert len(alone) == 2 and np.mean(alone) > whole > 0


def test_benchmark_prints_its_table(environment, home, forks):
  arguments = (
    '--teacher=resnet8*0.25',
    '--student=resnet8*0.25',
    '--image_size=8',
    '--batch_size=4',
    '--steps=1',
    '--rounds=1',
    '--num_classes=3',
    '--set=num_projectors=1',
    '--set=factor=16',
  )
  done = forks.run('benchmark', arguments, home, environment)
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
