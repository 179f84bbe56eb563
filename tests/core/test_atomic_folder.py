"""A folder is complete or absent."""

import json

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
