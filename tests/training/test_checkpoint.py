import concurrent.futures
import logging
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.training.checkpoint import KEPT, Checkpoints, digest

# Orbax's threads lose their event loop when a restore fails half-way; nothing comes of it.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


def state(step):
  """A tree with every kind of leaf that a cohort has."""
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


def assert_same(found, expected):
  assert jax.tree.structure(found) == jax.tree.structure(expected)

  def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()

  jax.tree.map(same, found, expected)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A folder in which steps 10, 20 and 30 were saved."""
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


def damage(folder, how):
  if how == 'flipped byte':
    flip(largest(folder))
  elif how == 'truncated':
    truncate(largest(folder))
  elif how == 'removed file':
    largest(folder).unlink()
  elif how == 'no notes':
    shutil.rmtree(folder / 'notes')
  else:
    shutil.rmtree(folder / 'state')


DAMAGES = ['flipped byte', 'truncated', 'removed file', 'no notes', 'no state']


def test_the_latest_are_kept_and_the_newest_is_restored(folder, opened):
  assert sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) == [20, 30]
  assert KEPT == 2
  step, restored, notes = opened(folder).restore(state(0))
  assert step == 30
  assert_same(restored, state(30))
  assert (notes['epoch'], notes['parts']) == (3, {'a': 0.5})


def test_shapes_will_do_for_what_is_restored(folder, opened):
  shapes = jax.eval_shape(lambda: {k: v for k, v in state(0).items()})
  _, restored, _ = opened(folder).restore(shapes)
  assert_same(restored, state(30))


def test_an_empty_folder_restores_nothing(tmp_path, opened):
  assert opened(tmp_path / 'new').restore(state(0)) is None


@pytest.mark.parametrize('how', DAMAGES)
def test_a_damaged_newest_gives_way_to_the_one_before(how, folder, opened, caplog):
  damage(folder / '30', how)
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


@pytest.mark.parametrize('how', DAMAGES)
def test_without_an_intact_one_the_user_is_asked(how, folder, opened):
  damage(folder / '20', how)
  damage(folder / '30', how)
  with pytest.raises(UserError, match=r'intact \(steps 30, 20\); remove that folder') as error:
    opened(folder).restore(state(0))
  assert '\n' not in str(error.value)
  # Nothing was removed: perhaps somebody can mend them.
  assert (folder / '20').is_dir() and (folder / '30').is_dir()


def test_a_checkpoint_of_another_structure_is_not_taken(folder, opened):
  other = state(0) | {'step': jnp.zeros((3,))}
  with pytest.raises(UserError, match='intact'):
    opened(folder).restore(other)


def test_a_foreign_checkpoint_is_named_in_a_short_line(tmp_path, opened, caplog):
  """Orbax's own message has all the names in it."""
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


def test_a_relative_folder_will_do(tmp_path, monkeypatch, opened):
  monkeypatch.chdir(tmp_path)
  checkpoints = opened((tmp_path / 'here').relative_to(tmp_path))
  checkpoints.save(1, state(1), {})
  checkpoints.wait()
  assert (tmp_path / 'here' / '1').is_dir()


def test_what_is_saved_is_the_state_at_the_call(tmp_path, opened):
  """Saving goes on in the background while the arrays are donated to the next step."""
  checkpoints = opened(tmp_path / 'new')
  donated = {'x': jnp.arange(1000.0)}
  checkpoints.save(1, donated, {})
  step = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
  step(donated)
  checkpoints.wait()
  _, restored, _ = checkpoints.restore({'x': jnp.zeros(1000)})
  np.testing.assert_array_equal(restored['x'], np.arange(1000.0))


def test_a_disk_without_room_is_said_before_anything_is_written(folder, opened, monkeypatch):
  checkpoints = opened(folder)
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: types.SimpleNamespace(free=1000))
  with pytest.raises(UserError, match='no space is left for a checkpoint'):
    checkpoints.save(40, state(40), {})
  assert not (folder / '40').exists()
  step, restored, _ = checkpoints.restore(state(0))
  assert step == 30
  assert_same(restored, state(30))


def test_the_digest_sees_values_types_shapes_and_names():
  x = np.arange(4, dtype=np.int32)
  trees = [
    {'a': x},
    {'b': x},
    {'a': x.reshape(2, 2)},
    {'a': x.astype(np.uint32)},
    {'a': x[::-1]},
    {'a': x, 'b': x},
    {'a': {'b': x}},
  ]
  assert len({digest(tree) for tree in trees}) == len(trees)
  assert digest({'a': x}) == digest({'a': jnp.asarray(x)})


def test_threads_that_save_at_once_do_not_wait_for_each_other(tmp_path):
  """As groups of devices do; Orbax alone mistakes their signals, and waits for minutes."""

  def save(number):
    checkpoints = Checkpoints(tmp_path / str(number), alone=False)
    for step in range(3):
      checkpoints.save(step, state(10 * number + step), {})
    found = checkpoints.restore(state(0))
    checkpoints.close()
    return found

  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    for number, (step, found, _) in enumerate(pool.map(save, range(3))):
      assert step == 2
      assert_same(found, state(10 * number + 2))
