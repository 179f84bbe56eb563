"""A run's folder: the files that identify the run, and the lock of the process at work."""

import contextlib
import errno
import json
import logging
import os
import pathlib
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import jax
from flax import traverse_util

from pidkd_jax.core import file_lock, regular_file, runtime, versions
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.value import as_json
from pidkd_jax.parallel import devices, processes
from pidkd_jax.training.checkpoint import check_path

logger = logging.getLogger(__name__)

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


# Takes a run's folder and its identity before and now. It checks some entries in its own way, and
# returns the others of both.
CheckPart = Callable[
  [pathlib.Path, dict[str, Any], dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]
]

# How long a file of another process may take to be seen.
_PATIENCE_SECONDS = 30

# The field that says how long a run trains.
_DURATION = 'total_epochs'


def claim(
  folder: pathlib.Path,
  file: str,
  content: dict[str, Any],
  harmless: Collection[str] = (),
  defaults: Mapping[str, Any] | None = None,
  paths: Collection[str] = (),
  check_part: CheckPart | None = None,
) -> None:
  """Write the file that identifies a run, or check that the folder holds the same run.

  Args:
    folder: of the run; made if it is missing.
    file: name in the folder, e.g. 'config.json'.
    content: JSON values that identify the run.
    harmless: dotted names of entries that may differ, as they do not change the result.
    defaults: {dotted name: value} of entries that a file from an older version may lack.
    paths: dotted names of paths that may differ, as the digest of what lies there is compared.
      Whether there is a path may not.
    check_part: checks entries that may differ under a rule of their own (`continuation`).

  Raises:
    UserError: the folder cannot be written, holds another run, or has a path in which no checkpoint
      can be kept.
  """
  check(folder, file, content, harmless, defaults, paths, check_part)
  with writing(folder, file):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / file, content)
  [missing] = processes.any_process(not _arrives(folder / file))
  if missing:
    raise UserError(
      f'what the first process wrote into workdir {str(folder)!r} does not reach all of them; give '
      'all of them one workdir, in a file system that they share'
    )


def _arrives(path: pathlib.Path) -> bool:
  """Return whether this process sees a file that another one wrote, perhaps after a while."""
  for _ in range(_PATIENCE_SECONDS if processes.is_multiprocess() else 1):
    # A file system over a network reads a folder anew, and may remember that a file was missing.
    if path.parent.is_dir() and path.name in os.listdir(path.parent):
      return True
    time.sleep(1)
  return False


def check(
  folder: pathlib.Path,
  file: str,
  content: dict[str, Any],
  harmless: Collection[str] = (),
  defaults: Mapping[str, Any] | None = None,
  paths: Collection[str] = (),
  check_part: CheckPart | None = None,
) -> None:
  """Check as `claim` does, with the same arguments, and write nothing."""
  check_path(folder)
  path = folder / file
  with writing(folder, file):
    if path.exists():
      before = regular_file.read_object(path)
      if check_part:
        before, content = check_part(folder, before, content)
      _check_same(folder, before, content, harmless, defaults or {}, paths)
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

  Args:
    folder: of the run; made if it is missing.

  Raises:
    UserError: another process is at work there, the folder cannot be written, or its file system
      has no locks at all, so that no checkpoint can be kept.
  """
  if not processes.is_primary():
    yield
    return
  with writing(folder, 'lock'):
    folder.mkdir(parents=True, exist_ok=True)
    # The file names the process that holds the lock, so opening it may not empty it.
    opened = open(folder / 'lock', 'ab+', buffering=0, opener=_open_itself)
  with opened as file:
    try:
      release, reason = file_lock.take(file)
    except BlockingIOError as error:
      who = gone = ''
      if holder := file_lock.holder(file):
        # Some file systems over a network (NFS 3) keep the lock of a machine that vanished.
        who = f' ({holder})'
        lock = str(folder / 'lock')
        gone = f'; if that machine is gone, remove {lock!r}, as a new file has no lock'
      raise UserError(
        f'another run is at work in {str(folder)!r}{who}; wait until it is done, or give another '
        f'folder{gone}'
      ) from error
    except file_lock.NoLocksError as error:
      raise UserError(
        f'the file system of {str(folder)!r} has no locks ({error}), and checkpoints need them; '
        'give a folder on another disk'
      ) from error
    if reason:
      logger.warning(
        '%s has no locks (%s) of whole files: a run on another machine may not be kept out of it',
        folder,
        reason,
      )
    try:
      yield
    finally:
      release()


def _open_itself(path: str, flags: int) -> int:
  """Open a file that is no link: who locks writes into it, and a folder may come from anyone."""
  return os.open(path, flags | os.O_NOFOLLOW, 0o666)


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


def changed_code(folder: pathlib.Path, code: Mapping[str, str]) -> list[str]:
  """Return the names of own networks and methods whose source a run's versions.json has otherwise.

  Args:
    folder: of the run.
    code: {name: digest} (`own_parts.digests`).
  """
  try:
    before = dict(regular_file.read_object(folder / 'versions.json')['code'])
  except (OSError, ValueError, TypeError, KeyError):
    return []  # Runs of older versions lack it.
  return [name for name, digest in code.items() if before.get(name, digest) != digest]


def record_environment(folder: pathlib.Path, command: str, code: Mapping[str, str]) -> None:
  """Write versions.json: what trains the run or goes on with it, and under 'before' what did.

  Another environment is said, as it may alter results by rounding, and so is other code of the
  user's own.

  Args:
    folder: of the run.
    command: the command line.
    code: {name: digest} of the user's own networks and methods.
  """
  for name in changed_code(folder, code):
    logger.warning('the source of %s was changed since the run began, and the run goes on', name)
  path, now = folder / 'versions.json', environment()
  try:
    before = dict(regular_file.read_object(path))
  except (OSError, ValueError, TypeError):
    before = {}  # Nothing depends on the file.
  earlier = before.pop('before', [])
  known = {name: value for name, value in before.items() if name not in ('command', 'code')}
  changes = [
    f'{name} {known.get(name)} -> {now.get(name)}'
    for name in sorted(known.keys() | now.keys())
    if known and known.get(name) != now.get(name)
  ]
  if changes:
    logger.warning('the run goes on in another environment: %s', ', '.join(changes))
    earlier = [*earlier, before]
  processes.barrier('environment')  # All processes have read it.
  told = now | {'command': command} | ({'code': dict(code)} if code else {})
  write_json(path, told | ({'before': earlier} if earlier else {}))


def write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
  """Replace a JSON file atomically, so that a reader never sees a part of it.

  The primary process writes. Every process waits until the file is there.
  """
  if processes.is_primary():
    part = path.with_suffix('.partial')
    part.write_text(json.dumps(value, indent=2) + '\n')
    part.replace(path)
  processes.barrier(path.name)


def bundles(folder: pathlib.Path) -> list[pathlib.Path]:
  """Return the bundles of a run and of its parts; those of other runs below it are not its own."""
  found = sorted((*folder.glob('bundles/*'), *folder.glob('part-*/bundles/*')))
  # A leading dot marks a bundle that is only partly written.
  return [place for place in found if not place.name.startswith('.')]


def same_paths(folder: pathlib.Path, content: dict[str, Any], paths: Collection[str]) -> bool:
  """Return whether a run's config.json has the same paths under these dotted names."""
  saved = _flat(regular_file.read_object(folder / 'config.json'))
  return all(saved.get(name, '') == _flat(content).get(name, '') for name in paths)


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
  return traverse_util.flatten_dict(as_json(tree), sep='.')


def _check_same(folder, before, now, harmless, defaults, paths) -> None:
  before, now = _flat(before), _flat(now)
  before = {name: value for name, value in _flat(dict(defaults)).items() if name in now} | before
  for name in sorted(before.keys() | now.keys()):
    old, new = before.get(name), now.get(name)
    if name in harmless or old == new or (name in paths and old and new):
      continue
    trained = bundles(folder)
    longer = f'; `start={trained[0]}` begins with its weights there' if trained else ''
    raise UserError(
      f'workdir {str(folder)!r} holds a run with {name} = {old!r} and not {new!r}; give another '
      f'`workdir`{longer if name.removeprefix("recipe.") == _DURATION else ""}'
    )
