"""Write a folder atomically, with a manifest of each file's SHA-256."""

import contextlib
import fcntl
import glob
import json
import os
import pathlib
import shutil
import uuid
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

  Of two calls at once the later one to end replaces what the other one wrote. What a killed process
  left behind is removed by the next call.

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
  part = folder.with_name(f'.{folder.name}.{uuid.uuid4().hex[:8]}.partial')
  old = folder.with_name(f'.{folder.name}.old')
  new_parents = [parent for parent in folder.parents if not parent.exists()]
  try:
    part.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as writing:
      with _locked(part.parent):
        _put_back(old, folder)
        _remove_leftovers(folder)
        part.mkdir()
        writing.enter_context(_locked(part))
      yield part
      names = sorted({path.name for path in part.iterdir()} - {*loose})
      write_json(part / MANIFEST, {name: regular_file.sha256(part / name) for name in names})
      with _locked(part.parent):
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
          folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
  except BaseException:
    shutil.rmtree(part, ignore_errors=True)
    _put_back(old, folder)
    for parent in new_parents:
      with contextlib.suppress(OSError):  # It was never made, or another process writes there.
        parent.rmdir()
    raise


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
  """Hold the lock of a folder, waiting for it. It ends with the process, even if it is killed."""
  number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    with contextlib.suppress(OSError):  # Some network disks have no locks.
      fcntl.flock(number, fcntl.LOCK_EX)
    yield
  finally:
    os.close(number)


def _remove_leftovers(folder: pathlib.Path) -> None:
  """Remove unfinished folders that nobody writes any more, as they can be locked."""
  name = glob.escape(folder.name)
  for part in [*folder.parent.glob(f'.{name}.*.partial'), *folder.parent.glob(f'.{name}.partial')]:
    with contextlib.suppress(OSError):
      number = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
      try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(part)
      finally:
        os.close(number)


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
