"""What `make test` has no time for; `make test-faults` runs it."""

import pathlib
import subprocess

import pytest

from tests import small


def pytest_collection_modifyitems(items):
  for item in items:
    if pathlib.Path(__file__).parent in item.path.parents:
      item.add_marker(pytest.mark.faults)


@pytest.fixture(scope='session')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('faults')


@pytest.fixture(scope='session')
def command(home):
  """The main job, small, with a checkpoint after every step; `folder` is the run's."""

  def command(folder, *more):
    return small.command(
      folder,
      home / 'tfds',
      'pidkd,crd',
      '--config.compare.crd.num_negatives=64',
      '--config.total_epochs=40',
      '--config.eval_every=10',
      f'--config.teacher.dir={home / "teachers"}',
      *more,
    )

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
  return small.result(folder)
