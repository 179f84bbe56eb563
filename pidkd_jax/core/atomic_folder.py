"""Write a folder atomically, with a manifest of each file's SHA-256."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pidkd_jax.core import regular_file

MANIFEST = 'manifest.json'


@contextlib.contextmanager
def replacing(folder: pathlib.Path, loose: Collection[str] = ()) -> Iterator[pathlib.Path]:
  """Yield a new folder to write files into; at the end it replaces `folder`.

  An exception leaves the old folder, and no parent that did not exist before. A kill leaves either
  the old folder or the new one, complete. The old one is renamed before the new one takes its
  place. A reader at that moment finds no folder. After a kill at that moment, the next call puts
  the old one back.

  Args:
    folder: the folder to replace; it need not exist. Of a link, its target is replaced.
    loose: names of files that the manifest omits, because people may edit them.

  Example:
    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / 'results'
    >>> with replacing(folder) as part:
    ...   write_json(part / 'scores.json', {'top1': 0.75})
    >>> sorted(path.name for path in folder.iterdir())
    ['manifest.json', 'scores.json']
  """
  if folder.is_symlink():
    folder = pathlib.Path(os.path.realpath(folder))
  part, old = (folder.with_name(f'.{folder.name}{end}') for end in ('.partial', '.old'))
  _put_back(old, folder)
  new_parents = [parent for parent in folder.parents if not parent.exists()]
  shutil.rmtree(part, ignore_errors=True)
  try:
    part.mkdir(parents=True)
    yield part
    names = sorted({path.name for path in part.iterdir()} - {*loose})
    write_json(part / MANIFEST, {name: regular_file.sha256(part / name) for name in names})
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
      folder.rename(old)
    part.rename(folder)
  except BaseException:
    shutil.rmtree(part, ignore_errors=True)
    _put_back(old, folder)
    for parent in new_parents:
      with contextlib.suppress(OSError):  # It was never made, or another process writes there.
        parent.rmdir()
    raise
  shutil.rmtree(old, ignore_errors=True)


def _put_back(old: pathlib.Path, folder: pathlib.Path) -> None:
  """Undo the first of the two renames of `replacing` where the second one was not reached."""
  if old.exists() and not folder.exists():
    old.rename(folder)


def write_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
  """Write standard JSON, which every reader accepts.

  Raises:
    ValueError: a number is not finite.
  """
  path.write_text(json.dumps(value, indent=2, allow_nan=False) + '\n', encoding='utf-8')
