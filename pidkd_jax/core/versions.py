"""The version of pidkd_jax, and those of the packages that results come from."""

import platform
from importlib import metadata

from pidkd_jax.core import own_version

# Packages that another distribution may stand in for.
_INSTEAD = {'tensorflow-datasets': 'tfds-nightly'}


def of(*packages: str) -> dict[str, str]:
  """Return the version of each package, 'unknown' for one that is not installed.

  A checkout of pidkd_jax need not be installed.

  Args:
    *packages: names of distributions.

  Example:
    >>> of('pidkd_jax')  # doctest: +SKIP
    {'pidkd_jax': '0.2.0'}
  """
  return {package: _version(package) for package in packages}


def line() -> str:
  """Return, in one line, the versions that a report of a problem needs.

  Example:
    >>> line()  # doctest: +SKIP
    'pidkd_jax 0.2.0 (Python 3.12.12, jax 0.11.0, flax 0.13.0)'
  """
  others = ', '.join(f'{name} {version}' for name, version in of('jax', 'flax').items())
  return f'pidkd_jax {own_version.find()} (Python {platform.python_version()}, {others})'


def _version(package: str) -> str:
  if package == 'pidkd_jax':
    return own_version.find()
  for name in filter(None, (package, _INSTEAD.get(package))):
    try:
      return metadata.version(name)
    except metadata.PackageNotFoundError:
      pass
  return 'unknown'
