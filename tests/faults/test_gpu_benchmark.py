"""The benchmark of a GPU in its short form, all parts, each in a process of its own."""

import json

from benchmarks.gpu import __main__ as command


def test_the_short_form_reaches_everything(home):
  out = home / 'gpu'
  assert command.main(['--minutes', '60', '--out', str(out), '--short']) == 0
  parts = json.loads((out / 'report.json').read_text())['parts']
  assert {name: part['missing'] for name, part in parts.items() if part['missing']} == {}
  failed = {
    f'{name}: {row}': values['failed']
    for name, part in parts.items()
    for row, values in part['rows'].items()
    if 'failed' in values
  }
  assert not failed
  rows = parts['determinism']['rows'].values()
  assert [row['bit-identical'] for row in rows if 'bit-identical' in row] == [True, True]
