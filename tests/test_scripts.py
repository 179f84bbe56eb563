"""The scripts as a user starts them: exit status and kill -9; mistakes: test_mistakes.py."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pidkd_jax.training import journal

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('scripts')


@pytest.fixture
def command(home):
  """The main job, small; `folder` is the run's."""

  def command(folder, *more):
    return [
      sys.executable,
      str(ROOT / 'scripts' / 'main.py'),
      f'--config={ROOT / "configs" / "digits.py"}:pidkd',
      f'--workdir={folder}',
      '--config.student=resnet8*0.25',
      '--config.method.num_projectors=2',
      '--config.method.factor=8',
      '--config.batch_size=128',
      '--config.total_epochs=6',
      '--config.checkpoint_seconds=0',
      '--config.teacher.model=resnet8*0.25',
      '--config.teacher.batch_size=128',
      '--config.teacher.total_epochs=1',
      f'--config.data.dir={home / "tfds"}',
      *more,
    ]

  return command


@pytest.fixture(scope='module')
def environment(pytestconfig):
  """Compiled programs are kept between the processes."""
  return os.environ | {'XDG_CACHE_HOME': str(pytestconfig.cache.mkdir('xdg'))}


def run(command, environment):
  return subprocess.run(
    command, env=environment, capture_output=True, text=True, check=False, timeout=300
  )


def result(folder):
  with np.load(folder / 'bundles' / 'pidkd-0' / 'variables.npz') as file:
    return {name: file[name].tobytes() for name in file.files}


def figures(folder):
  return [
    {name: value for name, value in row.items() if 'seconds' not in name}
    for row in journal.read(folder)
  ]


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
  assert '| pidkd resnet8*0.25' in done.stdout

  killed = home / 'killed'
  for stop, step in ((signal.SIGKILL, 7), (signal.SIGKILL, 23), (signal.SIGTERM, 41)):
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
  assert result(killed) == result(whole)
  assert figures(killed) == figures(whole)

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
  lines = [line for line in done.stdout.splitlines() if line.startswith('  ')]
  measures, apart = lines[:6], lines[6:]
  assert all(line.endswith('as in the card') for line in measures)
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
