"""A folder is complete or absent."""

import json
import pathlib

import pytest

from pidkd_jax.core import atomic_folder


def test_a_folder_replaces_another(tmp_path):
  folder = tmp_path / 'a' / 'b'
  for text in ('old', 'new'):
    with atomic_folder.replacing(folder) as part:
      (part / text).write_text(text)
      assert not (folder / text).exists()
  assert sorted(path.name for path in folder.iterdir()) == ['manifest.json', 'new']
  assert list(json.loads((folder / 'manifest.json').read_text())) == ['new']
  assert list(folder.parent.iterdir()) == [folder]


def test_an_error_leaves_the_old_folder(tmp_path):
  with atomic_folder.replacing(tmp_path / 'a') as part:
    (part / 'old').write_text('old')
  for error in (ValueError, KeyboardInterrupt):
    with pytest.raises(error), atomic_folder.replacing(tmp_path / 'a') as part:
      (part / 'new').write_text('new')
      raise error
  assert (tmp_path / 'a' / 'old').read_text() == 'old'
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_an_error_leaves_no_new_parent(tmp_path):
  (tmp_path / 'there').mkdir()
  with pytest.raises(ValueError), atomic_folder.replacing(tmp_path / 'there' / 'a' / 'b' / 'c'):
    raise ValueError
  assert not list((tmp_path / 'there').iterdir())


def save(folder, text):
  with atomic_folder.replacing(folder) as part:
    (part / 'text').write_text(text)


def test_of_a_link_the_target_is_replaced(tmp_path):
  link, target = tmp_path / 'link', tmp_path / 'there' / 'a'
  link.symlink_to(target)
  for text in ('first', 'second', 'third'):
    save(link, text)
    assert link.is_symlink() and (target / 'text').read_text() == text
  assert list(target.parent.iterdir()) == [target]
  assert list(tmp_path.iterdir()) in ([link, target.parent], [target.parent, link])


@pytest.fixture
def interrupt(monkeypatch):
  """A function that has the second of the two renames fail; 'killed', so does all that follows."""
  rename = pathlib.Path.rename

  def interrupt(error, killed):
    def failing(path, target):
      if path.name.endswith('.partial') or (killed and path.name.endswith('.old')):
        raise error
      return rename(path, target)

    monkeypatch.setattr(pathlib.Path, 'rename', failing)

  return interrupt


def test_an_error_between_the_renames_leaves_the_old_folder(tmp_path, interrupt):
  save(tmp_path / 'a', 'old')
  interrupt(OSError('no'), killed=False)
  with pytest.raises(OSError, match='no'):
    save(tmp_path / 'a', 'new')
  assert (tmp_path / 'a' / 'text').read_text() == 'old'
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_after_a_kill_between_the_renames_the_old_folder_is_put_back(
  tmp_path, interrupt, monkeypatch
):
  save(tmp_path / 'a', 'old')
  interrupt(SystemExit(), killed=True)
  with pytest.raises(SystemExit):
    save(tmp_path / 'a', 'new')
  assert not (tmp_path / 'a').exists()
  monkeypatch.undo()
  with pytest.raises(ValueError), atomic_folder.replacing(tmp_path / 'a'):
    raise ValueError
  assert (tmp_path / 'a' / 'text').read_text() == 'old'
  save(tmp_path / 'a', 'new')
  assert (tmp_path / 'a' / 'text').read_text() == 'new'
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_two_writers_do_not_mix_their_files(tmp_path):
  with atomic_folder.replacing(tmp_path / 'a') as first:
    (first / 'text').write_text('first')
    with atomic_folder.replacing(tmp_path / 'a') as second:
      (second / 'text').write_text('second')
      (second / 'more').write_text('second')
    assert (tmp_path / 'a' / 'text').read_text() == 'second'
  assert sorted(path.name for path in (tmp_path / 'a').iterdir()) == ['manifest.json', 'text']
  assert (tmp_path / 'a' / 'text').read_text() == 'first'
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']


@pytest.mark.parametrize('name', ['.a.0123abcd.partial', '.a.partial'])
def test_what_a_killed_writer_left_is_removed(name, tmp_path):
  (tmp_path / name).mkdir()
  (tmp_path / name / 'text').write_text('unfinished')
  save(tmp_path / 'a', 'whole')
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']
