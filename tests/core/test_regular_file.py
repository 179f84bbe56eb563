"""Only regular files of bounded size are read, whatever lies in their place."""

import os

import pytest

from pidkd_jax.core import npz, regular_file
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import saved_config, workdir
from pidkd_jax.training import metrics


@pytest.fixture
def pipe(tmp_path):
  """Return a function that puts a pipe without a writer into the place of a file."""

  def make(name):
    os.mkfifo(tmp_path / name)
    return tmp_path / name

  return make


def test_text_and_objects_come_back(tmp_path):
  (tmp_path / 'a.json').write_text('{"name": "é"}', 'utf-8')
  assert regular_file.read_object(tmp_path / 'a.json') == {'name': 'é'}
  assert regular_file.read_text(tmp_path / 'a.json') == '{"name": "é"}'


def test_no_reader_waits_for_a_pipe(pipe, tmp_path):
  with pytest.raises(OSError, match='it is no regular file'):
    regular_file.read_text(pipe('a.json'))
  with pytest.raises(ValueError, match='no archive of arrays.*no regular file'):
    npz.read(pipe('a.npz'))
  pipe('metrics.jsonl')
  with pytest.raises(UserError, match=r'metrics.jsonl. cannot be read: it is no regular file'):
    metrics.read(tmp_path)
  with pytest.raises(UserError, match='cannot be read: it is no regular file'):
    saved_config.get_config(str(pipe('config.json')))
  with pytest.raises(UserError, match='no regular file'):
    workdir.check(tmp_path, 'config.json', {})


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
  monkeypatch.setattr(regular_file, '_LIMIT', 10)
  (tmp_path / 'a.json').write_text('"0123456789"')
  with pytest.raises(OSError, match='it has more than 10 bytes'):
    regular_file.read_text(tmp_path / 'a.json')


def test_deep_nesting_is_an_error_of_the_file(tmp_path):
  (tmp_path / 'a.json').write_text('[' * 100_000)
  with pytest.raises(ValueError, match='nested too deeply'):
    regular_file.read_object(tmp_path / 'a.json')


def test_half_a_character_is_an_error_of_the_file(tmp_path):
  (tmp_path / 'a.json').write_text(r'{"label": "\uD83D\uDE00"}')
  assert regular_file.read_object(tmp_path / 'a.json') == {'label': '\N{GRINNING FACE}'}
  (tmp_path / 'a.json').write_text(r'{"label": "\ud800"}')
  with pytest.raises(ValueError, match='it holds half a character'):
    regular_file.read_object(tmp_path / 'a.json')


@pytest.mark.parametrize('content', ['[1]', '"text"', 'null', '1'])
def test_another_value_than_an_object_is_an_error_of_the_file(content, tmp_path):
  (tmp_path / 'a.json').write_text(content)
  with pytest.raises(ValueError, match='it holds no JSON object'):
    regular_file.read_object(tmp_path / 'a.json')
