"""Write a folder atomically, with a manifest of each file's SHA-256."""

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
  """Yield a new folder to write files into; at the end it replaces `folder`.

  A kill leaves either the old folder or the new one, complete. An exception leaves the old folder,
  and no parent that did not exist before.

  Args:
    folder: the folder to replace; it need not exist.
    loose: names of files that the manifest omits, because people may edit them.

  Example:
    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / 'results'
    >>> with replacing(folder) as part:
    ...   write_json(part / 'scores.json', {'top1': 0.75})
    >>> sorted(path.name for path in folder.iterdir())
    ['manifest.json', 'scores.json']
  """
  part, old = (folder.with_name(f'.{folder.name}{end}') for end in ('.partial', '.old'))
  new_parents = [parent for parent in folder.parents if not parent.exists()]
  shutil.rmtree(part, ignore_errors=True)
  try:
    part.mkdir(parents=True)
    yield part
    names = sorted({path.name for path in part.iterdir()} - {*loose})
    write_json(part / MANIFEST, {name: sha256(part / name) for name in names})
  except BaseException:
    shutil.rmtree(part, ignore_errors=True)
    for parent in new_parents:
      with contextlib.suppress(OSError):  # It was never made, or another process writes there.
        parent.rmdir()
    raise
  shutil.rmtree(old, ignore_errors=True)
  if folder.exists():
    folder.rename(old)
  part.rename(folder)
  shutil.rmtree(old, ignore_errors=True)


def sha256(path: pathlib.Path) -> str:
  """Return the SHA-256 of a file in hexadecimal digits."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
  """Write standard JSON, which every reader accepts.

  Raises:
    ValueError: a number is not finite.
  """
  path.write_text(json.dumps(value, indent=2, allow_nan=False) + '\n')
