"""The version comes from the tag, wherever the package lies."""

import subprocess
from importlib import metadata

import pytest
from packaging.version import Version

from pidkd_jax.core import own_version


@pytest.fixture(autouse=True)
def uninstalled(monkeypatch):
  def missing(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(metadata, 'distribution', missing)


@pytest.fixture
def git(tmp_path):
  """Return a function that runs git in a fresh repository with one commit."""

  def run(*arguments):
    name = ('-c', 'user.name=a', '-c', 'user.email=a@b.c')
    command = ['git', *name, *arguments]
    return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

  run('init', '--quiet')
  (tmp_path / 'file').write_text('a')
  run('add', 'file')
  run('commit', '--quiet', '-m', 'first')
  return run


def found(folder):
  own_version.find.cache_clear()
  return own_version.find(folder)


def test_a_checkout_is_what_its_tag_says(git, tmp_path):
  commit = git('rev-parse', '--short=8', 'HEAD').strip()
  assert found(tmp_path) == f'0+untagged.g{commit}'
  git('tag', 'experiment')  # No version.
  assert found(tmp_path) == f'0+untagged.g{commit}'
  git('tag', 'v0.2.0')
  assert found(tmp_path) == '0.2.0'
  (tmp_path / 'file').write_text('b')
  assert found(tmp_path) == '0.2.1.dev0+dirty'
  git('commit', '--quiet', '-am', 'second')
  commit = git('rev-parse', '--short=8', 'HEAD').strip()
  assert found(tmp_path) == f'0.2.1.dev1+g{commit}'


def test_versions_are_in_order():
  said = ['bb748ec1', 'v0.2.0rc1', 'v0.2.0rc1-3-gaaaaaaaa', 'v0.2.0', 'v0.2.0-dirty']
  said += ['v0.2.0-5-gaaaaaaaa', 'v0.2.1']
  versions = [Version(own_version.parse(one)) for one in said]
  assert versions == sorted(versions) and len(set(versions)) == len(said)


def test_a_source_distribution_has_it_in_a_file(tmp_path):
  (tmp_path / 'PKG-INFO').write_text('Metadata-Version: 2.4\nName: x\nVersion: 0.2.0\n')
  assert found(tmp_path) == '0.2.0'


@pytest.mark.parametrize(
  ('line', 'version'),
  [
    ('v0.2.0', '0.2.0'),
    ('v0.2.0-5-gbb748ec1', '0.2.1.dev5+gbb748ec1'),
    ('', '0+unknown'),
    ('$Format:%(describe)$', '0+unknown'),
  ],
)
def test_an_archive_has_it_in_a_file(tmp_path, line, version):
  (tmp_path / '.git_archival.txt').write_text(f'describe-name: {line}\n')
  assert found(tmp_path) == version


def test_git_that_fails_is_no_error(tmp_path, monkeypatch):
  (tmp_path / '.git').mkdir()  # No repository.
  assert found(tmp_path) == '0+unknown'
  monkeypatch.setenv('PATH', '')
  assert found(tmp_path) == '0+unknown'


def test_only_metadata_of_this_very_copy_counts(tmp_path, monkeypatch):
  site = tmp_path / 'site'
  information = site / 'pidkd_jax-0.2.0.dist-info'
  information.mkdir(parents=True)
  (information / 'METADATA').write_text('Metadata-Version: 2.4\nName: pidkd_jax\nVersion: 0.2.0\n')
  installed = metadata.Distribution.at(information)
  monkeypatch.setattr(metadata, 'distribution', lambda name: installed)
  assert found(site) == '0.2.0'
  assert found(tmp_path / 'another copy') == '0+unknown'
