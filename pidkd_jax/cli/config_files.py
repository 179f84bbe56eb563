"""The configs that lie in the package, by name. It imports nothing that takes time."""

import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def folder() -> pathlib.Path:
  """Return where the configs lie: in the installed package, or beside it in a checkout."""
  installed = _PACKAGE / 'configs'
  return installed if installed.is_dir() else _PACKAGE.with_name('configs')


def names() -> dict[str, pathlib.Path]:
  """Return the configs' files by name, those in folders last."""
  paths = sorted(folder().rglob('*.py'), key=lambda path: (len(path.parts), path))
  return {path.relative_to(folder()).with_suffix('').as_posix(): path for path in paths}
