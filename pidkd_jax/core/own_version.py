"""The version of this package, from the tag of its commit; its build asks here, too.

Imports of Python's own alone, as the build runs this file by itself.
"""

import functools
import os
import pathlib
import re
import subprocess
from importlib import metadata

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TAGS = 'v[0-9]*'
# As `git describe` writes it: v0.2.0, or v0.2.0-5-gbb748ec1 five commits later; perhaps -dirty.
_DESCRIBED = re.compile(r'v(\d[^-\s]*)(?:-(\d+)-g([0-9a-f]+))?(-dirty)?')
_UNTAGGED = re.compile(r'([0-9a-f]{7,40})(-dirty)?')


@functools.cache
def find(root: pathlib.Path = _ROOT) -> str:
  """Return the version of the package in a folder.

  A checkout asks git, a source distribution and GitHub's archive have it in a file, and an
  installed package has its metadata. Without any of these it is '0+unknown'.

  Args:
    root: the folder that holds `pidkd_jax`.
  """
  return (
    _of_checkout(root) or _of_sdist(root) or _of_archive(root) or _installed(root) or '0+unknown'
  )


def parse(described: str) -> str:
  """Return what `git describe` says as a version, '' where it says none.

  Commits after a tag are developments of the next version, as setuptools-scm names them.

  Example:
    >>> parse('v0.2.0'), parse('v0.2.0-5-gbb748ec1-dirty'), parse('bb748ec1')
    ('0.2.0', '0.2.1.dev5+gbb748ec1.dirty', '0+untagged.gbb748ec1')
  """
  if found := _UNTAGGED.fullmatch(described):
    return f'0+untagged.g{found[1]}{_marked(found[2])}'
  found = _DESCRIBED.fullmatch(described)
  if not found:
    return ''
  release, distance, commit, dirty = found.groups()
  if not distance and not dirty:
    return release
  following = re.sub(r'\d+$', lambda last: str(int(last[0]) + 1), release)
  local = f'g{commit}{_marked(dirty)}' if commit else 'dirty'
  return f'{following}.dev{distance or 0}+{local}'


def _marked(dirty: str | None) -> str:
  return '.dirty' if dirty else ''


def _of_checkout(root: pathlib.Path) -> str:
  if not (root / '.git').exists():
    return ''
  command = ['git', 'describe', '--tags', f'--match={_TAGS}', '--abbrev=8', '--always', '--dirty']
  try:
    done = subprocess.run(
      command,
      cwd=root,
      env={**os.environ, 'GIT_OPTIONAL_LOCKS': '0'},
      capture_output=True,
      text=True,
      timeout=10,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):  # No git, or a repository of somebody else.
    return ''
  return parse(done.stdout.strip())


def _of_sdist(root: pathlib.Path) -> str:
  return _line(root / 'PKG-INFO', 'Version')


def _of_archive(root: pathlib.Path) -> str:
  return parse(_line(root / '.git_archival.txt', 'describe-name'))


def _line(file: pathlib.Path, name: str) -> str:
  """Return the value of the line 'NAME: VALUE' in a file, '' where there is none."""
  try:
    text = file.read_text(encoding='utf-8')
  except (OSError, UnicodeDecodeError):
    return ''
  found = re.search(rf'^{name}: *(\S+) *$', text, re.MULTILINE)
  return found[1] if found else ''


def _installed(root: pathlib.Path) -> str:
  """Return the version of the installed package, '' where that is another copy or none."""
  try:
    found = metadata.distribution('pidkd_jax')
  except metadata.PackageNotFoundError:
    return ''
  place = pathlib.Path(str(found.locate_file('pidkd_jax'))).resolve()
  return found.version if place == (root / 'pidkd_jax').resolve() else ''
