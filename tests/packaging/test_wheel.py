"""The sdist, and the wheel built from it: what is in them, and that they work by themselves."""

import subprocess
import sys
import tarfile
import zipfile

import pytest

from pidkd_jax.core import own_version
from tests.packaging import dependencies
from tests.small import ROOT

pytest.importorskip('hatchling')


def build(target, source, folder):
  """Build the sdist or the wheel of a source folder; return its path."""
  done = subprocess.run(
    [sys.executable, '-m', 'hatchling', 'build', '--target', target, '--directory', str(folder)],
    cwd=source,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  [path] = folder.iterdir()
  return path


@pytest.fixture(scope='module')
def unpacked(tmp_path_factory):
  """Return the folder that the sdist of this checkout unpacks to."""
  path = build('sdist', ROOT, tmp_path_factory.mktemp('sdist'))
  folder = tmp_path_factory.mktemp('unpacked')
  with tarfile.open(path) as file:
    file.extractall(folder, filter='data')
  [folder] = folder.iterdir()
  return folder


@pytest.fixture(scope='module')
def version(unpacked):
  """Return the version that the sdist has, which is this checkout's."""
  return unpacked.name.removeprefix('pidkd_jax-')


@pytest.fixture(scope='module')
def wheel(unpacked, tmp_path_factory):
  """Return the wheel that is built from the sdist, as a ZIP file."""
  with zipfile.ZipFile(build('wheel', unpacked, tmp_path_factory.mktemp('wheel'))) as file:
    yield file


def test_the_source_distribution_has_the_package_and_no_test(unpacked, version):
  assert {path.name for path in unpacked.iterdir()} == {
    *('pidkd_jax', 'configs', 'pyproject.toml', 'PKG-INFO', '.gitignore'),
    *('README.md', 'LICENSE', 'CHANGELOG.md', 'CITATION.cff'),
  }
  assert own_version.find(unpacked) == version == own_version.find(ROOT)


def test_it_has_the_package_and_the_configs_and_nothing_else(wheel, version):
  expected = {
    str(path.relative_to(ROOT)): path
    for path in [*(ROOT / 'pidkd_jax').rglob('*.py'), ROOT / 'pidkd_jax' / 'py.typed']
  }
  for path in (ROOT / 'configs').rglob('*.py'):
    expected[f'pidkd_jax/{path.relative_to(ROOT)}'] = path
  information = f'pidkd_jax-{version}.dist-info/'
  found = {name for name in wheel.namelist() if not name.startswith(information)}
  assert found == set(expected)
  assert all(wheel.read(name) == path.read_bytes() for name, path in expected.items())


def test_it_says_its_command_and_its_license(wheel, version):
  information = f'pidkd_jax-{version}.dist-info/'
  assert 'pidkd = pidkd_jax.cli.main:main' in wheel.read(information + 'entry_points.txt').decode()
  assert wheel.read(information + 'licenses/LICENSE') == (ROOT / 'LICENSE').read_bytes()
  assert 'License-Expression: Apache-2.0' in wheel.read(information + 'METADATA').decode()


def test_it_finds_its_configs_from_an_empty_folder(wheel, tmp_path):
  for name in ('site', 'dependencies', 'empty'):
    (tmp_path / name).mkdir()
  wheel.extractall(tmp_path / 'site')
  dependencies.link(tmp_path / 'dependencies')
  path = [tmp_path / 'site', tmp_path / 'dependencies']
  command = ['-m', 'pidkd_jax.cli.main', 'study', '--config=methods', '--show']
  done = dependencies.run(command, path, tmp_path / 'empty')
  assert done.returncode == 0, done.stderr
  assert "cohorts.all.rows.pidkd.method = 'pidkd'" in done.stdout
