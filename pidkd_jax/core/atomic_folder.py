"""A folder that is whole or not there: written beside its place, with a SHA-256 of each file."""

import contextlib
import hashlib
import json
import pathlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MANIFEST = 'manifest.json'


@contextlib.contextmanager
def replacing(folder: pathlib.Path, loose: Collection[str] = ()) -> Iterator[pathlib.Path]:
  """A folder to write files into, which takes the place of `folder` at the end.

  A kill leaves the old one or the new one whole; what is raised within leaves the old one, and no
  folder that was not there.

  Args:
    folder: the place.
    loose: names of files that the manifest leaves out, as people may add to them.
  """
  part, old = (folder.with_name(f'.{folder.name}{end}') for end in ('.partial', '.old'))
  made = [parent for parent in folder.parents if not parent.exists()]
  shutil.rmtree(part, ignore_errors=True)
  try:
    part.mkdir(parents=True)
    yield part
    names = sorted({path.name for path in part.iterdir()} - {*loose})
    write_json(part / MANIFEST, {name: sha256(part / name) for name in names})
  except BaseException:
    shutil.rmtree(part, ignore_errors=True)
    for parent in made:
      with contextlib.suppress(OSError):  # It was not made, or somebody else writes there by now.
        parent.rmdir()
    raise
  shutil.rmtree(old, ignore_errors=True)
  if folder.exists():
    folder.rename(old)
  part.rename(folder)
  shutil.rmtree(old, ignore_errors=True)


def sha256(path: pathlib.Path) -> str:
  """Of a file, in hexadecimal digits."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
  """Writes JSON that others can read: no number that is not finite."""
  path.write_text(json.dumps(value, indent=2, allow_nan=False) + '\n')
