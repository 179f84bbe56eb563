"""A run's folder: the files that identify the run, and the lock of the process at work."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import platform
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jax
from flax import traverse_util

from pidkd_jax.core import regular_file, runtime, versions
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import devices, processes
from pidkd_jax.training.checkpoint import check_path

_PACKAGES = (
  'pidkd_jax',
  'jax',
  'jaxlib',
  'flax',
  'optax',
  'orbax-checkpoint',
  'numpy',
  'tensorflow-datasets',
  'pillow',
)


def claim(
  folder: pathlib.Path,
  file: str,
  content: dict[str, Any],
  harmless: Collection[str] = (),
  defaults: Mapping[str, Any] | None = None,
) -> None:
  """Write the file that identifies a run, or check that the folder holds the same run.

  Args:
    folder: of the run; made if it is missing.
    file: name in the folder, e.g. 'config.json'.
    content: JSON values that identify the run.
    harmless: dotted names of entries that may differ, as they do not change the result.
    defaults: {dotted name: value} of entries that a file from an older version may lack.

  Raises:
    UserError: the folder cannot be written, holds another run, or has a path in which no checkpoint
      can be kept.
  """
  check(folder, file, content, harmless, defaults)
  with writing(folder, file):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / file, content)


def check(
  folder: pathlib.Path,
  file: str,
  content: dict[str, Any],
  harmless: Collection[str] = (),
  defaults: Mapping[str, Any] | None = None,
) -> None:
  """Check as `claim` does, with the same arguments, and write nothing."""
  check_path(folder)
  path = folder / file
  with writing(folder, file):
    if path.exists():
      _check_same(folder, regular_file.read_json(path), content, harmless, defaults or {})
    elif (folder / 'checkpoints').exists():
      raise UserError(f'workdir {str(folder)!r} holds checkpoints and no {file}; give another')
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
      number = errno.EACCES if nearest.is_dir() else errno.ENOTDIR
      raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def writing(folder: pathlib.Path, file: str) -> Iterator[None]:
  """Turn errors of a run's folder, and of a file in it, into a UserError."""
  try:
    yield
  except OSError as error:
    raise UserError(
      f'workdir {str(folder)!r} cannot be written: {error.strerror}; give another folder'
    ) from error
  except ValueError as error:
    raise UserError(f'{str(folder / file)!r} is damaged: {error}; give another workdir') from error


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
  """Lock a run's folder for this process. The lock ends with the process, even if it is killed.

  Raises:
    UserError: another process is at work there.
  """
  if not processes.is_primary():
    yield
    return
  with (folder / 'lock').open('w') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UserError(
        f'another run is at work in {str(folder)!r}; wait until it is done, or give another folder'
      ) from error
    yield


def local(name: str, path: str) -> pathlib.Path:
  """Return the path of a folder that the user named.

  Args:
    name: of the flag or field, for messages.
    path: as the user wrote it.

  Raises:
    UserError: the path is empty, looks like a flag, is on a remote store, or names an unknown user.
  """
  if not path:
    raise UserError(f'no {name} was given; name a folder')
  if path.startswith('-'):
    raise UserError(f'{name} {path!r} looks like a flag; name a folder')
  if '://' in path:
    raise UserError(
      f'{name} {path!r} is not on a local disk; name a local folder, and copy from or to it'
    )
  try:
    place = pathlib.Path(path).expanduser()
    # '.' has no name and no parent of its own, beside which other folders could lie.
    return place if place.name not in ('', '..') else place.resolve()
  except RuntimeError as error:
    raise UserError(f'{name} {path!r}: there is no such user; name a folder') from error


def environment() -> dict[str, Any]:
  """Return the versions of packages and the hardware that a result comes from."""
  return {
    'python': platform.python_version(),
    **versions.of(*_PACKAGES),
    'platform': jax.default_backend(),
    'device': jax.devices()[0].device_kind,
    'devices': devices.count(),
    'processes': jax.process_count(),
    'cores': runtime.cores(),
  }


def write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
  """Replace a JSON file atomically, so that a reader never sees a part of it.

  The primary process writes. Every process waits until the file is there.
  """
  if processes.is_primary():
    part = path.with_suffix('.partial')
    part.write_text(json.dumps(value, indent=2) + '\n')
    part.replace(path)
  processes.barrier(path.name)


def _check_same(folder, before, now, harmless, defaults) -> None:
  if not isinstance(before, dict):
    raise ValueError('it holds no JSON object')
  # JSON turns tuples into lists.
  before, now = (
    traverse_util.flatten_dict(tree, sep='.') for tree in (before, json.loads(json.dumps(now)))
  )
  before = {name: value for name, value in defaults.items() if name in now} | before
  for name in sorted(before.keys() | now.keys()):
    if name not in harmless and before.get(name) != now.get(name):
      raise UserError(
        f'workdir {str(folder)!r} holds a run with {name} = {before.get(name)!r} and not '
        f'{now.get(name)!r}; give another --workdir'
      )
