"""Tests that `make test` has no time for; `make test-faults` runs them."""

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
  """Return a function that gives the command line of a small run in a folder."""

  def command(folder, *more):
    return small.command(
      folder,
      home / 'tfds',
      'pidkd,crd',
      '--config.compare.crd.num_negatives=64',
      '--config.total_epochs=40',
      '--config.eval_every=10',
      f'--config.teacher.dir={home / "teachers"}',
      '--verbose',  # The end of the first step is in the log, and at a terminal only then.
      *more,
    )

  return command


@pytest.fixture(scope='session')
def start(environment):
  """Return a function that starts a command."""

  def start(command):
    return subprocess.Popen(
      command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

  return start


@pytest.fixture(scope='session')
def finish(start):
  """Return a function that runs a command to its end and returns (status, output)."""

  def finish(command):
    with start(command) as process:
      output, _ = process.communicate(timeout=1200)
    return process.returncode, output

  return finish


@pytest.fixture(scope='session')
def whole(command, finish, home):
  """Return the result of an undisturbed run."""
  folder = home / 'whole'
  status, output = finish(command(folder))
  assert status == 0, output
  return small.result(folder)
