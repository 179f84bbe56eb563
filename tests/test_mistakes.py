"""Every mistake of the table ends in one line and leaves everything as it was."""

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.forks import ROOT
from tests.mistakes import document, material
from tests.mistakes.place import Place, command
from tests.mistakes.table import MISTAKES

ALL = [mistake for mistakes in MISTAKES.values() for mistake in mistakes]


@pytest.fixture(scope='module')
def place(forks, tmp_path_factory):
  home = tmp_path_factory.mktemp('mistakes')
  material.make(home)
  return Place(home, tmp_path_factory.mktemp('cache'), forks)


@pytest.fixture(scope='module')
def contents():
  """Return a list of the folder's content after the latest command, if any."""
  return []


@pytest.mark.parametrize('mistake', ALL, ids=lambda mistake: mistake.what)
def test_a_mistake_is_one_line_and_changes_nothing(place, contents, mistake):
  if mistake.needs and not importlib.util.find_spec(mistake.needs):
    pytest.skip(f'needs {mistake.needs}')
  before = contents.pop() if contents else place.content()
  done = place.make(mistake)
  after = place.content()
  contents.append(after)
  assert 'Traceback' not in done.stderr and 'Traceback' not in done.stdout, done.stderr
  assert mistake.says in place.said(done), done.stderr
  assert done.returncode == mistake.status
  assert before == after


def test_the_table_is_of_different_mistakes():
  assert len(ALL) >= 60
  assert len({mistake.what for mistake in ALL}) == len(ALL)
  assert len({(one.command, one.usual, one.given) for one in ALL}) == len(ALL)


def test_the_document_is_of_the_table():
  rows = re.findall(
    r'^\| ([^|]+) \| <code>(.*?)</code> \| .* \| (\d) \|$', document.PATH.read_text(), re.MULTILINE
  )
  assert [(what, int(status)) for what, _, status in rows] == [
    (mistake.what, mistake.status) for mistake in ALL
  ]
  assert [
    document.line(mistake.what, command(mistake), '', 0).split('</code>')[0] for mistake in ALL
  ] == [f'| {what} | <code>{typed}' for what, typed, _ in rows]


@pytest.mark.parametrize('what', ['stray argument', 'bundle with one altered byte'])
def test_a_process_of_its_own_says_the_same(place, what):
  [mistake] = [mistake for mistake in ALL if mistake.what == what]
  path = ROOT / 'scripts' / {'train': 'main.py'}.get(mistake.command, f'{mistake.command}.py')
  alone = subprocess.run(
    [sys.executable, str(path), *mistake.usual, *mistake.given],
    cwd=place.home,
    capture_output=True,
    text=True,
    check=False,
  )
  forked = place.make(mistake)
  assert (alone.returncode, alone.stderr) == (forked.returncode, forked.stderr)
