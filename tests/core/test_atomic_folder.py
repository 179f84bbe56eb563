"""A folder is whole or not there."""

import json

import pytest

from pidkd_jax.core import atomic_folder


def test_a_folder_takes_the_place_of_another(tmp_path):
  place = tmp_path / 'a' / 'b'
  for text in ('old', 'new'):
    with atomic_folder.replacing(place) as part:
      (part / text).write_text(text)
      assert not (place / text).exists()
  assert sorted(path.name for path in place.iterdir()) == ['manifest.json', 'new']
  assert list(json.loads((place / 'manifest.json').read_text())) == ['new']
  assert list(place.parent.iterdir()) == [place]


def test_a_failure_leaves_the_old_one(tmp_path):
  with atomic_folder.replacing(tmp_path / 'a') as part:
    (part / 'old').write_text('old')
  for error in (ValueError, KeyboardInterrupt):
    with pytest.raises(error), atomic_folder.replacing(tmp_path / 'a') as part:
      (part / 'new').write_text('new')
      raise error
  assert (tmp_path / 'a' / 'old').read_text() == 'old'
  assert list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_a_failure_leaves_no_folder_that_was_not_there(tmp_path):
  (tmp_path / 'there').mkdir()
  with pytest.raises(ValueError), atomic_folder.replacing(tmp_path / 'there' / 'a' / 'b' / 'c'):
    raise ValueError
  assert not list((tmp_path / 'there').iterdir())
