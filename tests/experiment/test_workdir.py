"""A run's folder knows the run that it holds."""

import errno
import fcntl
import json
import os
import platform
import sys

import pytest

from pidkd_jax.core import file_lock
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import workdir
from pidkd_jax.parallel import held_folder

CONTENT = {'total_epochs': 6, 'data': {'archive': 'base', 'name': 'x'}, 'start': ''}


@pytest.fixture
def folder(tmp_path):
  workdir.claim(tmp_path / 'run', 'config.json', CONTENT)
  return tmp_path / 'run'


def check(folder, **changes):
  workdir.check(folder, 'config.json', CONTENT | changes, paths=('data.archive', 'start'))


@pytest.mark.parametrize('archive', ['base/', '/moved/base'])
def test_a_path_may_be_written_otherwise(folder, archive):
  content = {'archive': archive, 'name': 'x'}
  check(folder, data=content)
  assert workdir.same_paths(folder, CONTENT, ['data.archive', 'start'])
  assert not workdir.same_paths(folder, CONTENT | {'data': content}, ['data.archive', 'start'])


@pytest.mark.parametrize(
  'changes', [{'start': 'bundle'}, {'data': {'archive': '', 'name': 'x'}}, {'total_epochs': 7}]
)
def test_what_was_not_there_is_another_run(folder, changes):
  with pytest.raises(UserError, match='give another `workdir`$'):
    check(folder, **changes)


def test_what_is_newer_than_the_run_has_its_default(folder):
  defaults = {'schedule': 'drops', 'drops': (0.5,), 'data.scale': (0.1, 1.0)}
  now = {**CONTENT, 'schedule': 'drops', 'drops': (0.5,)}
  workdir.check(folder, 'config.json', now, defaults=defaults)
  with pytest.raises(UserError, match="schedule = 'drops' and not 'cosine'"):
    workdir.check(folder, 'config.json', now | {'schedule': 'cosine'}, defaults=defaults)


def test_a_longer_training_begins_from_a_bundle_of_the_finished_one(folder):
  (folder / 'bundles' / 'pidkd-0').mkdir(parents=True)
  with pytest.raises(UserError) as error:
    check(folder, total_epochs=7)
  assert str(error.value).endswith(
    f'total_epochs = 6 and not 7; give another `workdir`; `start={folder}/bundles/pidkd-0`'
    ' begins with its weights there'
  )


def test_a_lock_ends_with_its_run_though_a_fork_lives_on(tmp_path, monkeypatch):
  """A fork has the same open file, as a duplicate of its number has."""
  flock, forks = fcntl.flock, []

  def lock(file, operation):
    forks.append(os.dup(file.fileno()))
    flock(file, operation)

  monkeypatch.setattr(fcntl, 'flock', lock)
  for _ in range(2):
    with workdir.locked(tmp_path):
      pass
  for fork in forks:
    os.close(fork)


def test_a_lock_says_who_holds_it_and_what_to_do_if_that_machine_is_gone(tmp_path):
  """NFS 3 keeps the lock of a machine that vanished, and waiting never helps."""
  with workdir.locked(tmp_path):
    for _ in range(2):  # The one who is refused leaves the name there.
      with pytest.raises(UserError) as error, workdir.locked(tmp_path):
        pass
  assert str(error.value) == (
    f'another run is at work in {str(tmp_path)!r} (process {os.getpid()} on {platform.node()}); '
    'wait until it is done, or give another folder; if that machine is gone, remove '
    f"'{tmp_path}/lock', as a new file has no lock"
  )


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
  """The holder's name would be written over a file of the user's, in a folder from anyone."""
  (tmp_path / 'profile').write_text('export PATH')
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run/lock').symlink_to('../profile')
  with (
    pytest.raises(UserError, match='cannot be written: .*links'),
    workdir.locked(tmp_path / 'run'),
  ):
    pass
  assert (tmp_path / 'profile').read_text() == 'export PATH'


def test_a_run_writes_nothing_into_the_run_that_took_its_place(tmp_path):
  folder = tmp_path / 'run'
  with workdir.locked(folder):
    held_folder.check(folder / 'part-1')
    held_folder.check(tmp_path)  # Nobody locked it.
    (folder / 'lock').rename(folder / 'kept')
    held_folder.check(folder)  # Whoever tidies up takes the folder from nobody.
    (folder / 'kept').rename(folder / 'lock')
    folder.rename(tmp_path / 'old')
    with pytest.raises(UserError, match='was removed, renamed or replaced while this run trained'):
      held_folder.check(folder / 'part-1')
    folder.mkdir()
    (folder / 'lock').write_text('process 1 on another\n')  # A second run.
    with pytest.raises(UserError, match='was removed'):
      held_folder.check(folder)
  held_folder.check(folder)


@pytest.mark.parametrize('signed', ['', ' \n'])
def test_a_lock_that_names_nobody_is_refused_as_well(tmp_path, signed):
  (tmp_path / 'lock').write_text(signed)
  with (tmp_path / 'lock').open() as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    with pytest.raises(UserError) as error, workdir.locked(tmp_path):
      pass
  assert str(error.value).endswith('; wait until it is done, or give another folder')


def test_a_lock_file_that_takes_no_name_locks(tmp_path, monkeypatch):
  """As on a full disk."""

  def full(descriptor):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with workdir.locked(tmp_path), pytest.raises(UserError, match='another run is at work'):
    with workdir.locked(tmp_path):
      pass


@pytest.fixture
def no_flock(monkeypatch):
  def flock(file, operation):
    raise OSError(errno.ENOSYS, 'Function not implemented')

  monkeypatch.setattr(fcntl, 'flock', flock)


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux has a second kind of locks')
def test_a_file_system_without_locks_is_said_and_used(tmp_path, no_flock, monkeypatch, caplog):
  """It has those that checkpoints need."""
  lock, forks = fcntl.fcntl, []

  def fork(file, *rest):
    forks.append(os.dup(file.fileno()))
    return lock(file, *rest)

  monkeypatch.setattr(fcntl, 'fcntl', fork)
  for _ in range(2):
    with workdir.locked(tmp_path):
      assert 'has no locks (Function not implemented)' in caplog.text
      with pytest.raises(UserError, match='another run is at work'), workdir.locked(tmp_path):
        pass
  for one in forks:
    os.close(one)


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.EINVAL, None])
def test_a_file_system_without_locks_for_checkpoints_is_refused(
  tmp_path, no_flock, monkeypatch, number
):
  """Each save would fail, after the first epochs were trained."""

  def lock(file, command, argument):
    raise OSError(number, 'no such lock')

  monkeypatch.setattr(fcntl, 'fcntl', lock)
  monkeypatch.setattr(file_lock, '_OFD_SETLK', number and 37)
  with pytest.raises(UserError) as error, workdir.locked(tmp_path):
    pass
  assert str(error.value) == (
    f'the file system of {str(tmp_path)!r} has no locks (Function not implemented), and '
    'checkpoints need them; give a folder on another disk'
  )


def test_a_folder_that_processes_do_not_share_is_refused(folder, monkeypatch):
  """Each of them would train to the end, and all but the first would find no metrics."""
  monkeypatch.setattr(workdir.processes, 'is_primary', lambda: False)
  monkeypatch.setattr(workdir.processes, 'any_process', lambda *flags: list(flags))
  with pytest.raises(UserError, match='does not reach all of them; give all of them one workdir'):
    workdir.claim(folder / 'own', 'config.json', CONTENT)
  workdir.claim(folder, 'config.json', CONTENT)


def test_changed_source_is_said(folder, caplog):
  for digest in ('a', 'a', 'b'):
    assert not caplog.text
    workdir.record_environment(folder, 'pidkd train', {'own:Mine': digest})
  assert 'the source of own:Mine was changed since the run began' in caplog.text
  assert workdir.changed_code(folder, {'own:Mine': 'b', 'own:Other': 'c'}) == []


def test_another_environment_is_said_and_the_one_before_is_kept(folder, monkeypatch, caplog):
  def record(version):
    monkeypatch.setattr(workdir, 'environment', lambda: {'jax': version})
    workdir.record_environment(folder, 'pidkd train', {})
    return json.loads((folder / 'versions.json').read_text())

  assert record('1') == record('1') == {'jax': '1', 'command': 'pidkd train'}
  assert not caplog.text
  earlier = {'jax': '1', 'command': 'pidkd train'}
  assert record('2') == {'jax': '2', 'command': 'pidkd train', 'before': [earlier]}
  assert 'goes on in another environment: jax 1 -> 2' in caplog.text
  assert len(record('3')['before']) == 2
