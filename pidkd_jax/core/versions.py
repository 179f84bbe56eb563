"""The version of pidkd_jax, and those of the packages that results come from."""

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


def _version(package: str) -> str:
  if package == 'pidkd_jax':
    return __version__
  for name in filter(None, (package, _INSTEAD.get(package))):
    try:
      return metadata.version(name)
    except metadata.PackageNotFoundError:
      pass
  return 'unknown'
