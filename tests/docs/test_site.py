"""The documentation's site builds without a warning and without the network."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_NEEDS = ('mkdocs', 'material', 'mkdocstrings_handlers')
_MISSING = [name for name in _NEEDS if importlib.util.find_spec(name) is None]


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  if _MISSING:
    pytest.skip(f'{", ".join(_MISSING)} not installed; pip install -e ".[docs]"')
  folder = tmp_path_factory.mktemp('site')
  done = subprocess.run(
    [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)],
    cwd=ROOT,
    env={**os.environ, 'NO_MKDOCS_2_WARNING': '1', 'NO_COLOR': '1'},
    capture_output=True,
    text=True,
  )
  warnings = [line for line in done.stderr.splitlines() if line.startswith(('WARNING', 'ERROR'))]
  assert done.returncode == 0, '\n'.join(warnings or [done.stderr])
  return folder


def test_the_site_builds(site):
  assert (site / 'index.html').is_file()


def test_pages_load_nothing_from_elsewhere(site):
  loads = re.compile(
    r'<(?:script|img)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="(?:style|pre)[^>]*//'
  )
  for page in site.rglob('*.html'):
    assert not loads.search(page.read_text()), page.relative_to(site)


@pytest.mark.parametrize('room', ['nn', 'methods', 'models', 'data', 'training', 'core'])
def test_the_api_shows_docstrings(site, room):
  assert f'id="pidkd_jax.{room}"' in (site / 'reference/api' / room / 'index.html').read_text()


def test_the_site_has_the_notebooks(site):
  for path in ROOT.glob('examples/*.ipynb'):
    assert (site / 'examples' / path.name).read_bytes() == path.read_bytes()
