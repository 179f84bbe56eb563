import csv

import pytest

from pidkd_jax.report import table

COLUMNS = [
  table.text_column('', ['a|b', 'c']),
  table.mean_column('top-1 (%)', [[50.0, 52.0], [60.0]], 2),
  table.mean_column('parameters', [[0.1, 0.1], []], 3),
]


def test_markdown_has_means_deviations_and_aligned_bars():
  lines = table.to_markdown(COLUMNS).splitlines()
  assert len({len(line) for line in lines}) == 1
  assert lines[0].startswith('|      | top-1 (%)    | parameters |')
  assert lines[2] == '| a\\|b | 51.00 ± 1.41 | 0.100      |'
  assert lines[3] == '| c    | 60.00        |            |'


def test_the_screen_gets_words_and_numbers_apart():
  shown = table.to_screen(COLUMNS)
  assert shown.headings == ('', 'top-1 (%)', 'parameters') and shown.words == (0,)
  assert shown.rows == (('a|b', '51.00 ± 1.41', '0.100'), ('c', '60.00', ''))


def test_csv_has_plain_numbers(tmp_path):
  table.write_csv(COLUMNS, tmp_path / 'table.csv')
  with (tmp_path / 'table.csv').open(newline='') as file:
    first, second = csv.DictReader(file)
  assert first[''] == 'a|b' and float(first['top-1 (%)']) == 51
  assert float(first['top-1 (%), standard deviation']) == pytest.approx(2**0.5)
  assert second['top-1 (%), standard deviation'] == second['parameters'] == ''
