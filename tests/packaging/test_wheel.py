"""The wheel: what is in it, and that it works without the checkout."""

import subprocess
import sys
import zipfile

import pytest

import pidkd_jax
from tests.packaging import dependencies
from tests.small import ROOT

pytest.importorskip('hatchling')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """Return the wheel of this checkout, as a ZIP file."""
  folder = tmp_path_factory.mktemp('wheel')
  done = subprocess.run(
    [sys.executable, '-m', 'hatchling', 'build', '--target', 'wheel', '--directory', str(folder)],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  [path] = folder.glob('*.whl')
  with zipfile.ZipFile(path) as file:
    yield file


def test_it_has_the_package_and_the_configs_and_nothing_else(wheel):
  expected = {
    str(path.relative_to(ROOT)): path
    for path in [*(ROOT / 'pidkd_jax').rglob('*.py'), ROOT / 'pidkd_jax' / 'py.typed']
  }
  for path in (ROOT / 'configs').rglob('*.py'):
    expected[f'pidkd_jax/{path.relative_to(ROOT)}'] = path
  information = f'pidkd_jax-{pidkd_jax.__version__}.dist-info/'
  found = {name for name in wheel.namelist() if not name.startswith(information)}
  assert found == set(expected)
  assert all(wheel.read(name) == path.read_bytes() for name, path in expected.items())


def test_it_says_its_command_and_its_license(wheel):
  information = f'pidkd_jax-{pidkd_jax.__version__}.dist-info/'
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
