"""What `make test` has no time for; `make test-faults` runs it."""

import os
import pathlib
import subprocess
import sys

import pytest
from outcome import result

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
  for item in items:
    if pathlib.Path(__file__).parent in item.path.parents:
      item.add_marker(pytest.mark.faults)


@pytest.fixture(scope='session')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('faults')


@pytest.fixture(scope='session')
def environment(pytestconfig):
  """Compiled programs are kept between the processes."""
  return os.environ | {'XDG_CACHE_HOME': str(pytestconfig.cache.mkdir('xdg'))}


@pytest.fixture(scope='session')
def command(home):
  """The main job, small, with a checkpoint after every step; `folder` is the run's."""

  def command(folder, *more):
    return [
      sys.executable,
      str(ROOT / 'scripts' / 'main.py'),
      f'--config={ROOT / "configs" / "digits.py"}:pidkd,crd',
      f'--workdir={folder}',
      '--config.student=resnet8*0.25',
      '--config.method.num_projectors=2',
      '--config.method.factor=8',
      '--config.compare.crd.num_negatives=64',
      '--config.batch_size=128',
      '--config.total_epochs=40',
      '--config.eval_every=10',
      '--config.checkpoint_seconds=0',
      '--config.teacher.model=resnet8*0.25',
      '--config.teacher.batch_size=128',
      '--config.teacher.total_epochs=1',
      f'--config.teacher.dir={home / "teachers"}',
      f'--config.data.dir={home / "tfds"}',
      *more,
    ]

  return command


@pytest.fixture(scope='session')
def start(environment):
  """A function that starts a command."""

  def start(command):
    return subprocess.Popen(
      command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

  return start


@pytest.fixture(scope='session')
def finish(start):
  """A function that runs a command to its end and returns (status, what it said)."""

  def finish(command):
    with start(command) as process:
      said, _ = process.communicate(timeout=1200)
    return process.returncode, said

  return finish


@pytest.fixture(scope='session')
def whole(command, finish, home):
  """The result of a run that nothing happened to."""
  folder = home / 'whole'
  status, said = finish(command(folder))
  assert status == 0, said
  return result(folder)
