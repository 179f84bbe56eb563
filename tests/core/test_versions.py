"""Versions of packages, of an uninstalled checkout, too."""

import platform
from importlib import metadata

import pytest

import pidkd_jax
from pidkd_jax.core import versions


@pytest.fixture
def installed(monkeypatch):
  """Return the versions that are installed, by package; the test fills it."""
  known = {}

  def version(name):
    if name not in known:
      raise metadata.PackageNotFoundError(name)
    return known[name]

  monkeypatch.setattr(metadata, 'version', version)
  return known


def test_an_uninstalled_checkout_has_its_own_version(installed):
  assert versions.of('pidkd_jax') == {'pidkd_jax': pidkd_jax.__version__}


def test_versions_come_in_the_order_of_the_packages(installed):
  installed |= {'jax': '0.10.2', 'numpy': '2.1'}
  assert list(versions.of('numpy', 'jax').items()) == [('numpy', '2.1'), ('jax', '0.10.2')]


def test_the_nightly_stands_in_for_tensorflow_datasets(installed):
  installed['tfds-nightly'] = '4.9.11.dev1'
  assert versions.of('tensorflow-datasets') == {'tensorflow-datasets': '4.9.11.dev1'}
  installed['tensorflow-datasets'] = '4.9.10'
  assert versions.of('tensorflow-datasets') == {'tensorflow-datasets': '4.9.10'}


def test_a_missing_package_is_unknown(installed):
  assert versions.of('pillow') == {'pillow': 'unknown'}


def test_one_line_has_what_a_report_of_a_problem_needs(installed):
  installed |= {'jax': '0.10.2', 'numpy': '2.1'}
  assert versions.line() == (
    f'pidkd_jax {pidkd_jax.__version__} '
    f'(Python {platform.python_version()}, jax 0.10.2, flax unknown)'
  )
