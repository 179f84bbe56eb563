"""Checkpoints: the latest are kept, damaged ones are passed over, nothing is lost."""

import concurrent.futures
import errno
import logging
import os
import resource
import shutil
import threading
import types

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import workdir
from pidkd_jax.parallel import processes
from pidkd_jax.training import checkpoint
from pidkd_jax.training.checkpoint import KEPT, Checkpoints

# Orbax's threads lose their event loop when a restore fails half-way, without consequences.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


def state(step):
  """Return a tree with every kind of leaf that a cohort has."""
  rng = np.random.default_rng(step)
  return {
    'params': {'kernel': jnp.asarray(rng.normal(size=(64, 64)), jnp.float32)},
    'half': jnp.asarray(rng.normal(size=(8,)), jnp.bfloat16),
    'step': jnp.int32(step),
    'bytes': jnp.asarray(rng.integers(0, 256, 16), jnp.uint8),
    'flag': jnp.array([True, False]),
    'key': jax.random.key_data(jax.random.key(step)),
    'nothing': None,
    'not_finite': jnp.array([jnp.nan, jnp.inf, -0.0]),
  }


def assert_same(restored, expected):
  assert jax.tree.structure(restored) == jax.tree.structure(expected)

  def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()

  jax.tree.map(same, restored, expected)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A folder of checkpoints at steps 20 and 30, after one at step 10."""
  folder = tmp_path_factory.mktemp('saved')
  checkpoints = Checkpoints(folder)
  for step in (10, 20, 30):
    checkpoints.save(step, state(step), {'epoch': step // 10, 'parts': {'a': 0.5}})
  checkpoints.wait()
  checkpoints.close()
  return folder


@pytest.fixture
def folder(saved, tmp_path):
  """A copy of `saved` to damage."""
  return shutil.copytree(saved, tmp_path / 'checkpoints')


@pytest.fixture
def opened():
  """A function that opens checkpoints, which are closed after the test."""
  made = []

  def open_(folder):
    made.append(Checkpoints(folder))
    return made[-1]

  yield open_
  for checkpoints in made:
    checkpoints.close()


def largest(folder):
  return max((path for path in folder.rglob('*') if path.is_file()), key=lambda p: p.stat().st_size)


def flip(path):
  data = bytearray(path.read_bytes())
  middle = len(data) // 2
  data[middle] ^= 0xFF
  path.write_bytes(data)


def truncate(path):
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])


DAMAGES = {
  'flipped byte': lambda folder: flip(largest(folder)),
  'truncated': lambda folder: truncate(largest(folder)),
  'removed file': lambda folder: largest(folder).unlink(),
  'no notes': lambda folder: shutil.rmtree(folder / 'notes'),
  'no state': lambda folder: shutil.rmtree(folder / 'state'),
}


def test_the_latest_are_kept_and_the_newest_is_restored(folder, opened):
  assert sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) == [20, 30]
  assert KEPT == 2
  step, restored, notes = opened(folder).restore(state(0))
  assert step == 30
  assert_same(restored, state(30))
  assert (notes['epoch'], notes['parts']) == (3, {'a': 0.5})


def test_shapes_are_enough_to_restore(folder, opened):
  shapes = jax.eval_shape(lambda: state(0))
  _, restored, _ = opened(folder).restore(shapes)
  assert_same(restored, state(30))


def test_an_empty_folder_restores_nothing(tmp_path, opened):
  assert opened(tmp_path / 'new').restore(state(0)) is None


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_where_the_newest_is_damaged_the_one_before_is_restored(damage, folder, opened, caplog):
  damage(folder / '30')
  checkpoints = opened(folder)
  with caplog.at_level(logging.WARNING, logger='pidkd_jax'):
    step, restored, notes = checkpoints.restore(state(0))
  assert (step, notes['epoch']) == (20, 2)
  assert_same(restored, state(20))
  [warning] = [record for record in caplog.records if record.name.startswith('pidkd_jax')]
  assert 'checkpoint 30' in warning.getMessage() and '\n' not in warning.getMessage()
  # Its step can be saved again.
  checkpoints.save(30, state(31), {'epoch': 3})
  checkpoints.wait()
  step, restored, _ = opened(folder).restore(state(0))
  assert step == 30
  assert_same(restored, state(31))


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_without_an_intact_checkpoint_nothing_is_removed(damage, folder, opened):
  damage(folder / '20')
  damage(folder / '30')
  with pytest.raises(UserError, match=r'intact \(steps 30, 20\); remove that folder') as error:
    opened(folder).restore(state(0))
  assert '\n' not in str(error.value)
  # Somebody may be able to mend them.
  assert (folder / '20').is_dir() and (folder / '30').is_dir()


def test_a_checkpoint_of_another_structure_is_not_restored(folder, opened):
  other = state(0) | {'step': jnp.zeros((3,))}
  with pytest.raises(UserError, match='intact'):
    opened(folder).restore(other)


def test_a_checkpoint_of_another_program_is_named_in_a_short_line(tmp_path, opened, caplog):
  """Orbax's own message lists the names of all arrays."""
  tree = {f'stage{i}_block_with_a_name': np.zeros(1, np.float32) for i in range(100)}
  args = ocp.args.Composite(state=ocp.args.StandardSave(tree), notes=ocp.args.JsonSave({}))
  with ocp.CheckpointManager(tmp_path / 'checkpoints') as manager:
    manager.save(7, args=args)
  with caplog.at_level(logging.WARNING, logger='pidkd_jax'):
    with pytest.raises(UserError, match='intact'):
      opened(tmp_path / 'checkpoints').restore(state(0))
  [line] = [record.getMessage() for record in caplog.records if record.name.startswith('pidkd_jax')]
  assert 'checkpoint 7' in line
  assert len(line) < 300 + len(str(tmp_path)) and '\n' not in line


def test_the_folder_may_be_relative(tmp_path, monkeypatch, opened):
  monkeypatch.chdir(tmp_path)
  checkpoints = opened((tmp_path / 'here').relative_to(tmp_path))
  checkpoints.save(1, state(1), {})
  checkpoints.wait()
  assert (tmp_path / 'here' / '1').is_dir()


@pytest.mark.parametrize('name', ['run[1]', 'a*?', 'x[!a', '100% #1, "new"'])
def test_any_name_that_a_folder_may_have_will_do(name, tmp_path, opened):
  folder = tmp_path / name / 'checkpoints'
  checkpoints = opened(folder)
  checkpoints.save(1, state(1), {})
  checkpoints.wait()
  step, restored, _ = opened(folder).restore(state(0))
  assert step == 1
  assert_same(restored, state(1))


@pytest.mark.parametrize(
  'name, message',
  [('back\\slash', 'has a backslash'), (b'\xff'.decode(errors='surrogateescape'), 'is not UTF-8')],
)
def test_a_name_that_tensorstore_does_not_take_is_refused(name, message, tmp_path):
  with pytest.raises(UserError, match=f'{message}.*; give another folder'):
    Checkpoints(tmp_path / name / 'checkpoints')
  # Before anything is trained.
  with pytest.raises(UserError, match=message):
    workdir.check(tmp_path / name, 'config.json', {})
  assert not list(tmp_path.iterdir())


def test_the_state_at_the_call_is_saved(tmp_path, opened):
  """The arrays are donated to the next step while they are saved in the background."""
  checkpoints = opened(tmp_path / 'new')
  donated = {'x': jnp.arange(1000.0)}
  checkpoints.save(1, donated, {})
  step = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
  step(donated)
  checkpoints.wait()
  _, restored, _ = checkpoints.restore({'x': jnp.zeros(1000)})
  np.testing.assert_array_equal(restored['x'], np.arange(1000.0))


def test_a_full_disk_is_an_error_before_anything_is_written(folder, opened, monkeypatch):
  """Orbax writes each array twice: one byte less than that, and some room, is too little."""
  checkpoints = opened(folder)
  arrays = sum(leaf.nbytes for leaf in jax.tree.leaves(state(40)))
  least = 2 * arrays + 2**20
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: types.SimpleNamespace(free=least - 1))
  with pytest.raises(UserError, match='no space is left for a checkpoint'):
    checkpoints.save(40, state(40), {})
  assert not (folder / '40').exists()
  step, restored, _ = checkpoints.restore(state(0))
  assert step == 30
  assert_same(restored, state(30))


def test_a_limit_on_the_size_of_files_is_a_full_disk(folder, opened):
  checkpoints = opened(folder)
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
  try:
    with pytest.raises(UserError, match='no space is left for a checkpoint'):
      checkpoints.save(40, state(40), {})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert not (folder / '40').exists()
  step, _, _ = checkpoints.restore(state(0))
  assert step == 30


def failing(times, error):
  """Return a `Checkpoints._read` that fails so many times."""
  read = Checkpoints._read
  left = [times]

  def fail(checkpoints, step, like):
    if left[0] and step == 30:
      left[0] -= 1
      raise error
    return read(checkpoints, step, like)

  return fail


READ_ERRORS = [
  OSError(errno.EIO, os.strerror(errno.EIO)),
  ValueError('INTERNAL: Error reading "x" [OS error 5: EIO Input/output error]'),
  MemoryError(),
]


@pytest.mark.parametrize('error', READ_ERRORS, ids=lambda error: type(error).__name__)
def test_what_cannot_be_read_for_a_moment_is_read_again(error, folder, opened, monkeypatch):
  monkeypatch.setattr(checkpoint, '_RETRY_SECONDS', (0.0, 0.0))
  monkeypatch.setattr(Checkpoints, '_read', failing(2, error))
  step, restored, _ = opened(folder).restore(state(0))
  assert step == 30
  assert_same(restored, state(30))


@pytest.mark.parametrize('error', READ_ERRORS, ids=lambda error: type(error).__name__)
def test_what_cannot_be_read_is_refused_and_stays(error, folder, opened, monkeypatch):
  monkeypatch.setattr(checkpoint, '_RETRY_SECONDS', (0.0, 0.0))
  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, '_read', failing(3, error))
    with pytest.raises(UserError, match=r'checkpoint 30 in .* cannot be read \(.+\); it stays'):
      opened(folder).restore(state(0))
  step, restored, _ = opened(folder).restore(state(0))
  assert step == 30
  assert_same(restored, state(30))


def test_a_file_that_cannot_be_read_damages_nothing(folder, opened, monkeypatch):
  """Orbax tells of it in other words, so the files are read once more."""
  monkeypatch.setattr(checkpoint, '_RETRY_SECONDS', ())
  monkeypatch.setattr(Checkpoints, '_read', failing(1, Exception('some array is not there')))

  def sha256(path):
    raise OSError(errno.EIO, 'Input/output error', str(path))

  monkeypatch.setattr(checkpoint.regular_file, 'sha256', sha256)
  with pytest.raises(UserError, match=r'cannot be read \(Input/output error\)'):
    opened(folder).restore(state(0))
  assert (folder / '30').exists()


def test_threads_that_save_at_once_do_not_wait_for_each_other(tmp_path):
  """Groups of devices save so, and trainings in threads of the user's own.

  Orbax alone mixes up their signals, waits for minutes, and loses folders.
  """
  together, before = threading.Barrier(3, timeout=60), set(checkpoint._OPEN)

  def save(number):
    if number:
      together.wait()  # The first one is alone until it has begun to save.
    checkpoints = Checkpoints(tmp_path / str(number))
    for step in range(8):
      checkpoints.save(step, state(10 * number + step), {})
      if not number and not step:
        together.wait()
    checkpoints.wait()
    restored = checkpoints.restore(state(0))
    checkpoints.close()
    return restored

  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    for number, (step, restored, _) in enumerate(pool.map(save, range(3))):
      assert step == 7
      assert_same(restored, state(10 * number + 7))
  assert before == checkpoint._OPEN


def test_one_alone_saves_in_the_background(tmp_path, monkeypatch):
  checkpoints = Checkpoints(tmp_path)
  waited = []
  monkeypatch.setattr(checkpoints._manager, 'wait_until_finished', lambda: waited.append(1))
  checkpoints.save(1, state(0), {})
  own = len(waited)  # Orbax waits for the save before.
  other = Checkpoints(tmp_path / 'other')
  checkpoints.save(2, state(0), {})
  assert len(waited) == 2 * own + 1
  monkeypatch.undo()
  other.close()
  checkpoints.close()


def test_processes_that_see_different_checkpoints_are_refused(folder, opened, monkeypatch):
  """They would go on from different steps, or wait for each other."""
  checkpoints = opened(folder)
  with monkeypatch.context() as patched:
    patched.setattr(processes, 'agree', lambda value: False)
    with pytest.raises(UserError, match='see different .*: this one has 30, 20; give all'):
      checkpoints.restore(state(0))
  # Another process finds damage.
  monkeypatch.setattr(processes, 'any_process', lambda *flags: [True, True])
  with pytest.raises(UserError, match='some find checkpoint 30 damaged, and others do not; give'):
    checkpoints.restore(state(0))
  assert (folder / '30').exists()


def test_what_a_kill_left_of_a_save_is_removed(folder, opened):
  left = folder / '25.orbax-checkpoint-tmp'
  shutil.copytree(folder / '20', left)
  step, restored, _ = opened(folder).restore(state(0))
  assert not left.exists() and step == 30
  assert_same(restored, state(30))
