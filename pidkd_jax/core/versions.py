"""The version of pidkd_jax, and those of the packages that results come from."""

import platform
from importlib import metadata

__version__ = '0.1.0'

# Packages that another distribution may stand in for.
_INSTEAD = {'tensorflow-datasets': 'tfds-nightly'}


def of(*packages: str) -> dict[str, str]:
  """Return the version of each package, 'unknown' for one that is not installed.

  A checkout of pidkd_jax need not be installed.

  Args:
    *packages: names of distributions.

  Example:
    >>> of('pidkd_jax')
    {'pidkd_jax': '0.1.0'}
  """
  return {package: _version(package) for package in packages}


def line() -> str:
  """Return, in one line, the versions that a report of a problem needs.

  Example:
    >>> line().startswith(f'pidkd_jax {__version__} (Python ')
    True
  """
  others = ', '.join(f'{name} {version}' for name, version in of('jax', 'flax').items())
  return f'pidkd_jax {__version__} (Python {platform.python_version()}, {others})'


def _version(package: str) -> str:
  if package == 'pidkd_jax':
    return __version__
  for name in filter(None, (package, _INSTEAD.get(package))):
    try:
      return metadata.version(name)
    except metadata.PackageNotFoundError:
      pass
  return 'unknown'
