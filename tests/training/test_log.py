"""Where log records go: the terminal and a run's log file."""

import errno
import logging
import os
import pathlib

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.training import log

logger = logging.getLogger('pidkd_jax.test')


@pytest.fixture(autouse=True)
def handlers():
  """Give the handlers back that a command would replace."""
  root, package = logging.getLogger(), logging.getLogger('pidkd_jax')
  before = root.handlers[:], root.level, package.level
  yield
  root.handlers[:] = before[0]
  root.setLevel(before[1])
  package.setLevel(before[2])


@pytest.mark.parametrize(
  'given, expected',
  [
    ({}, ['figure', 'careful']),
    ({'verbose': True}, ['shape', 'figure', 'careful']),
    ({'quiet': True}, ['careful']),
  ],
)
def test_the_terminal_has_the_levels_that_were_asked_for(given, expected, capsys):
  log.to_terminal(**given)
  logger.debug('shape')
  logger.info('figure')
  logger.warning('careful')
  logging.getLogger('other').info('others say too much')
  assert capsys.readouterr().err.splitlines() == expected


def test_the_file_has_what_came_before_it_and_all_levels_and_how_the_run_ended(tmp_path, capsys):
  log.to_terminal(keep=True)
  logger.info('from before')
  with log.to_file(tmp_path):
    logger.debug('a shape \x1b[2J')
  logger.info('from between')
  with pytest.raises(UserError), log.to_file(tmp_path):
    raise UserError('no such thing')
  lines = (tmp_path / log.FILE).read_text().splitlines()
  assert [line.partition('.test: ')[2] or line.partition('.log: ')[2] for line in lines] == [
    'from before',
    'a shape \\x1b[2J',
    'from between',
    'the run ends: no such thing',
  ]
  assert lines[0][:4].isdigit() and ' INFO ' in lines[0] and ' DEBUG ' in lines[1]
  assert capsys.readouterr().err.splitlines() == ['from before', 'from between']


def test_a_traceback_goes_to_the_file_alone(tmp_path, capsys):
  """The program may have one line for the same error, such as a lost process."""
  log.to_terminal(verbose=True, keep=True)
  with pytest.raises(ZeroDivisionError), log.to_file(tmp_path):
    raise ZeroDivisionError
  assert 'Traceback' in (tmp_path / log.FILE).read_text()
  assert not capsys.readouterr().err


def test_what_is_hushed_stands_in_the_file_and_warnings_on_the_terminal(tmp_path, capsys):
  log.to_terminal(keep=True)
  with log.to_file(tmp_path), log.hushed():
    logger.info('again')
    logger.warning('careful')
  logger.info('after')
  assert capsys.readouterr().err.splitlines() == ['careful', 'after']
  assert 'again' in (tmp_path / log.FILE).read_text()


def test_a_file_that_cannot_be_opened_costs_a_warning(tmp_path, capsys):
  (tmp_path / log.FILE).mkdir()
  log.to_terminal(keep=True)
  with log.to_file(tmp_path):
    logger.info('figure')
  warning, figure = capsys.readouterr().err.splitlines()
  assert 'log.txt: Is a directory; the run goes on without it' in warning and figure == 'figure'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs Linux')
def test_a_full_disk_costs_a_warning(tmp_path, capsys):
  (tmp_path / log.FILE).symlink_to('/dev/full')
  log.to_terminal()
  with log.to_file(tmp_path):
    logger.info('first')
    logger.info('second')
  lines = capsys.readouterr().err.splitlines()
  assert [line for line in lines if 'goes on' not in line] == ['first', 'second']
  [warning] = [line for line in lines if 'goes on' in line]
  assert warning.endswith('log.txt: No space left on device; the run goes on without it')


def test_a_terminal_cuts_no_word(monkeypatch, capsys):
  monkeypatch.setattr(log, '_columns', lambda: 20)
  log.to_terminal()
  logger.info('digits: 1,297 images of scikit-learn, in %s', pathlib.Path('/a/long/path/of/digits'))
  assert capsys.readouterr().err.splitlines() == [
    'digits: 1,297 images',
    'of scikit-learn, in',
    '/a/long/path/of/digits',
  ]


def test_a_terminal_that_is_gone_costs_no_run(tmp_path, monkeypatch):
  """So the state is saved that SIGHUP asks for."""
  number = errno.EIO

  def write(*_, **__):
    raise OSError(number, 'no')

  monkeypatch.setattr(log.tqdm.tqdm, 'write', write)
  log.to_terminal()
  with log.to_file(tmp_path):
    logger.info('figure')
  assert 'figure' in (tmp_path / log.FILE).read_text()
  number = errno.EPIPE  # `cli.main` ends the program for it.
  with pytest.raises(BrokenPipeError):
    logger.info('figure')
