"""A file is complete or absent, and what a kill leaves is removed."""

import fcntl

import pytest

from pidkd_jax.core import atomic_file


def test_a_file_replaces_another(tmp_path):
  path = tmp_path / 'a.npz'
  for text in (b'old', b'new'):
    with atomic_file.replacing(path) as file:
      file.write(text)
  assert path.read_bytes() == b'new' and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file(tmp_path, error):
  path = tmp_path / 'a.npz'
  path.write_bytes(b'old')
  with pytest.raises(error), atomic_file.replacing(path) as file:
    file.write(b'new')
    raise error
  assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_removed_and_what_is_being_written_is_not(tmp_path):
  path = tmp_path / '.a-16.npz'
  left, other, others = (
    tmp_path / name for name in ('.a-16.1.partial', '.a-16.2.partial', '.a.3.partial')
  )
  for one in (left, other, others):
    one.write_bytes(b'part')
  with other.open('r+b') as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    with atomic_file.replacing(path) as file:
      file.write(b'whole')
  assert set(tmp_path.iterdir()) == {path, other, others}
