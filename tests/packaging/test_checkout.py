"""A checkout that is not installed, where only the dependencies are."""

import pytest

import pidkd_jax
from tests.packaging import dependencies
from tests.small import ROOT


@pytest.fixture(scope='module')
def path(tmp_path_factory):
  folder = tmp_path_factory.mktemp('dependencies')
  dependencies.link(folder)
  return [folder]


def test_the_package_is_not_installed_there(path, tmp_path):
  done = dependencies.run(['-c', 'import jax; import pidkd_jax'], path, tmp_path)
  assert "No module named 'pidkd_jax'" in done.stderr


def test_a_script_works_in_any_folder(path, tmp_path):
  script = ROOT / 'scripts' / 'main.py'
  done = dependencies.run([script, '--config=digits', '--show'], path, tmp_path)
  assert done.returncode == 0, done.stderr
  assert "data.name = 'digits'" in done.stdout


def test_a_result_knows_the_version_it_comes_from(path, tmp_path):
  script = (
    f'import sys; sys.path.insert(0, {str(ROOT)!r})\n'
    'from pidkd_jax.experiment import workdir\n'
    "print(workdir.environment()['pidkd_jax'])\n"
  )
  done = dependencies.run(['-c', script], path, tmp_path)
  assert done.stdout.strip() == pidkd_jax.__version__, done.stderr
