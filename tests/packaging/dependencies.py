"""A Python that sees what this package depends on, and not the package."""

import os
import pathlib
import subprocess
import sys
import sysconfig


def link(folder):
  """Fill a folder with links to all that is installed here, but this package."""
  for place in {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}:
    for path in pathlib.Path(place).iterdir():
      if 'pidkd_jax' not in path.name:
        (folder / path.name).symlink_to(path)


def run(arguments, path, folder):
  """Run Python in a folder with these places on its path, and none of this environment's.

  Without the module `site` no .pth file is read, so an editable installation is not seen.
  """
  environment = os.environ | {'PYTHONPATH': os.pathsep.join(map(str, path))}
  return subprocess.run(
    [sys.executable, '-S', *map(str, arguments)],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
