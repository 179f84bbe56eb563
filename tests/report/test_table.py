import csv
import dataclasses

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


@pytest.mark.parametrize(
  ('name', 'shown'),
  [
    ('# a\n\n# b', '# a  # b'),
    ('<script>x</script>', r'\<script>x\</script>'),
    ('![a](http://b) [c][d]', r'![a\](http://b) [c\][d]'),
    ('a\\|b', r'a\\\|b'),
    ('a\x1b[2Jb', r'a\\x1b[2Jb'),
    ('[+0.11, +0.41] <0.001', '[+0.11, +0.41] <0.001'),
  ],
)
def test_a_name_is_no_markdown(name, shown):
  assert table.escape(name) == shown


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


def test_bold_rows_are_marked_where_a_reader_sees_them():
  [column] = [dataclasses.replace(COLUMNS[1], bold={1})]
  assert table.to_markdown([column]).splitlines()[-1] == '| **60.00**    |'
  assert r'\textbf{60.00} \\' in table.to_latex([column]).splitlines()
  assert table.to_screen([column]).rows == (('51.00 ± 1.41',), ('60.00',))


def test_signs_that_markdown_and_latex_read_otherwise_are_escaped():
  columns = [table.text_column('p', ['<0.0001', 'resnet8*0.5 -> "a|b"'])]
  assert table.to_latex(columns).splitlines()[5:7] == [
    r'$<$0.0001 \\',
    r'resnet8*0.5 -$>$ \texttt{"}a$|$b\texttt{"} \\',
  ]
  assert table.to_markdown(columns).splitlines()[3] == r'| resnet8\*0.5 -> "a\|b" |'


def test_no_row_begins_with_what_latex_takes_as_an_argument():
  lines = table.to_latex([table.text_column('', ['[ours]', '*b', 'c'])]).splitlines()
  assert lines[5:8] == [r'{}[ours] \\', r'{}*b \\', r'c \\']


def test_latex_is_a_booktabs_table_with_escaped_text():
  columns = [
    table.text_column('top_1 (%)', ['a_b & {c}', '~^\\']),
    table.text_column('', ['-1.5 [-2.0, x-y]', 'ResNet-8']),
    table.mean_column('±', [[1.0, 3.0], [2.0]], 1),
  ]
  lines = table.to_latex(columns).splitlines()
  assert lines[1:3] == [r'\begin{tabular}{llr}', r'\toprule']
  assert lines[3] == r'top\_1 (\%) &  & $\pm$ \\'
  assert lines[5] == r'a\_b \& \{c\} & $-$1.5 [$-$2.0, x-y] & 2.0 $\pm$ 1.4 \\'
  assert lines[6] == r'\textasciitilde{}\textasciicircum{}\textbackslash{} & ResNet-8 & 2.0 \\'
  assert lines[4] == r'\midrule' and lines[-2:] == [r'\bottomrule', r'\end{tabular}']
