"""What fits a screen: tables, sentences and paths, at every width."""

import json
import os
import pty
import sys
import termios

import pytest
import rich.console

from pidkd_jax.core import screen
from pidkd_jax.core.screen import Summary, Table

ROWS = [
  ('teacher resnet14x2', '0.692', '98.60', '', ''),
  ('pidkd resnet8', '0.227', '95.87 ± 1.01', '+7.07 [+3.80, +10.47]', '97.12'),
  ('[red]long_label_of_a_setting with resnet8x4*0.5', '0.078', '94.27', '+5.47', '9.00'),
]
HEADINGS = ('network', 'parameters (M)', 'top-1 (%)', 'minus scratch (points)', 'agreement (%)')
TABLE = Table(HEADINGS, ROWS)


def test_a_table_of_80_columns_by_hand():
  assert TABLE.render(80).splitlines() == [
    '                      parameters                        minus scratch  agreement',
    'network                      (M)     top-1 (%)               (points)        (%)',
    '-' * 80,
    'teacher resnet14x2         0.692         98.60',
    'pidkd resnet8              0.227  95.87 ± 1.01  +7.07 [+3.80, +10.47]      97.12',
    '[red]long_label_of_a       0.078         94.27                  +5.47       9.00',
    '_setting with',
    'resnet8x4*0.5',
  ]


def test_a_notebook_gets_the_same_text(monkeypatch):
  before = TABLE.render(80)
  monkeypatch.setattr(rich.console, '_is_jupyter', lambda: True)
  assert TABLE.render(80) == before and TABLE.rows[0][0] in before


@pytest.mark.parametrize('columns', [40, 80, 100, 160])
def test_no_cell_is_cut_and_no_number_broken(columns):
  lines = Table(HEADINGS, ROWS * 7).render(columns).splitlines()
  # At 40 columns the numbers alone need more.
  assert max(map(len, lines)) <= max(columns, 72)
  text = '\n'.join(lines)
  assert text.count('+7.07 [+3.80, +10.47]') == 7
  first = ''.join(line.partition('  ')[0] for line in lines).replace(' ', '')
  assert first.count(ROWS[2][0].replace(' ', '')) == 7
  assert '\x1b' not in text


def test_words_and_numbers_that_a_terminal_would_obey_are_escaped():
  assert '\x1b' not in Table(('a\x1b[1m', 'b'), [('\x1b[31m', '\x07')]).render(80)


def test_without_a_terminal_the_width_is_plain(monkeypatch):
  monkeypatch.setenv('COLUMNS', '133')
  assert screen.width() == 80
  monkeypatch.setattr(sys, 'stdout', None)
  assert screen.width() == 80


@pytest.mark.parametrize('columns', [100, 160])
def test_a_terminal_says_its_width(columns, monkeypatch):
  controller, terminal = pty.openpty()
  termios.tcsetwinsize(terminal, (24, columns))
  with os.fdopen(terminal, 'w') as file, monkeypatch.context() as patch:
    patch.setattr(sys, 'stdout', file)
    assert screen.width() == columns
  os.close(controller)


def test_a_summary_ends_with_the_places_of_its_files():
  summary = Summary(
    'Digits', TABLE, ('One. ' * 40,), 'a b', {'report': ('r.md', 's.csv'), 'log': ()}
  )
  text = summary.render(80)
  assert text.startswith('Digits\n\n') and text.endswith('\n\nReport:  a b/r.md, s.csv')
  assert max(map(len, text.splitlines())) == 80
  # Longer sentences are hard to read.
  assert max(map(len, Summary('', TABLE, summary.notes).render(160).splitlines()[-3:])) <= 100
  assert screen.places({'pictures': ['a' * 80, 'b', 'c' * 60]}, 80).splitlines() == [
    f'Pictures:  {"a" * 80},',
    '           b, ' + 'c' * 60,
  ]


def test_a_summary_is_kept_as_json_without_its_folder():
  summary = Summary('t', Table(('a',), (('b',),), (0,)), ('n',), 'here', {'log': ('l',)})
  kept = json.loads(json.dumps(summary.to_json()))
  assert Summary.from_json(kept, 'here') == summary
  assert Summary.from_json(kept, 'there').folder == 'there'
  kept['table']['rows'] = [['b', 'c']]
  with pytest.raises(ValueError, match='do not fit'):
    Summary.from_json(kept, 'here')
