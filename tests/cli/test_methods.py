"""`pidkd methods`, and the lines that it is made of."""

import types

import pytest

from pidkd_jax import methods
from pidkd_jax.cli import listing
from pidkd_jax.cli.commands import methods as command
from pidkd_jax.core.errors import UserError


def run(monkeypatch, capsys, *names):
  monkeypatch.setattr(command.flags, 'FLAGS', types.SimpleNamespace(names=names))
  command.main()
  return capsys.readouterr().out


def test_every_method_is_listed_in_80_columns(monkeypatch, capsys):
  lines = run(monkeypatch, capsys).splitlines()
  assert [line.split()[0] for line in lines if line[2] != ' '] == methods.names()
  assert max(map(len, lines)) <= 80


def test_a_named_method_has_its_hyper_parameters(monkeypatch, capsys):
  text = run(monkeypatch, capsys, 'sp', 'scratch')
  assert text.startswith('sp: Similarity-preserving distillation.\n')
  assert '  weight             float  3000.0  of the squared difference; 3000 in' in text
  assert text.endswith('  It has no hyper-parameters.\n\n')


def test_a_misspelt_method_is_answered_with_the_nearest(monkeypatch, capsys):
  with pytest.raises(UserError, match=r"'pidk'; did you mean 'pidkd'\?.* more: pidkd methods$"):
    run(monkeypatch, capsys, 'pidk')


def test_columns_are_aligned_and_only_the_last_one_wraps():
  rows = [('a', '1', 'one two three four'), ('long_name', '2' * 30, 'five'), ('b', '', '')]
  assert listing.of(rows, width=32).splitlines() == [
    '  a          1',
    '    one two three four',
    '  long_name  ' + 30 * '2',
    '    five',
    '  b',
  ]
