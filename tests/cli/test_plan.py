"""The table of sizes, as the command prints it."""

import re

import pytest

from pidkd_jax.nn import projector_size

COLUMNS = ('projectors', 'deployed', 'of the teacher', 'multiply-adds', 'training', 'width of one')


@pytest.fixture
def start(forks, environment, tmp_path):
  """A function that runs the command."""
  return lambda *arguments: forks.run('plan', arguments, tmp_path, environment)


def table(done):
  """{row: {column: text}}."""
  assert done.returncode == 0, done.stderr
  assert max(map(len, done.stdout.splitlines())) <= 80
  lines = re.search(r'-{60,}\n(.*?)\n\n', done.stdout, re.DOTALL)[1].splitlines()
  found = {}
  for name, *cells in (re.split(' {2,}', line) for line in lines):
    # Teacher and student have no projectors.
    full = cells if len(cells) == len(COLUMNS) else ['', *cells, '']
    found[name] = dict(zip(COLUMNS, full, strict=True))
  return found


def number(text):
  return int(text.replace(',', ''))


def test_figures_of_the_literature(start):
  found = table(start('--num_projectors=1,3', '--factors=2,8'))
  columns = ('projectors', 'deployed', 'of the teacher', 'width of one')
  # Parameters: shared/reference. The widths: tests/test_projector_size.py, and a projector's own.
  assert {row: [cells[column] for column in columns] for row, cells in found.items()} == {
    'teacher resnet32x4': ['', '7,433,860', '100.0%', ''],
    'resnet8x4 alone': ['', '1,233,540', '16.6%', ''],
    'q = 1, f = 2': ['214,016', '1,447,556', '19.5%', '128'],
    'q = 3, f = 2': ['642,048', '1,875,588', '25.2%', '240'],
    'q = 1, f = 8': ['26,240', '1,259,780', '16.9%', '32'],
    'q = 3, f = 8': ['78,720', '1,312,260', '17.7%', '69'],
  }
  one, three = found['q = 1, f = 2'], found['q = 3, f = 2']
  # 8x8 places, a product for each weight of a convolution.
  more = float(three['multiply-adds']) - float(one['multiply-adds'])
  assert abs(1e6 * more - 2 * 64 * (256 * 128 + 9 * 128**2 + 128 * 256)) < 1e5  # One digit.
  assert number(one['training']) < number(three['training'])


def test_a_pair_of_unlike_widths_and_a_student_no_smaller(start):
  small = ('--student=resnet8', '--image_size=8', '--num_classes=3', '--batch_size=2')
  found = table(start('--teacher=resnet14x2', *small, '--num_projectors=2', '--factors=1,2'))
  for factor in (1, 2):
    expected = 2 * projector_size.num_parameters(64, 128 // factor, 128)
    assert number(found[f'q = 2, f = {factor}']['projectors']) == expected
  found = table(start('--teacher=resnet8', *small, '--num_projectors=1', '--factors=1,64'))
  # 64 + 9 + 64 + 4 + 128 weights more than the student, who has as many as his teacher.
  assert number(found['q = 1, f = 64']['projectors']) == 269
  assert float(found['q = 1, f = 64']['of the teacher'].rstrip('%')) > 100
  assert found['resnet8 alone']['of the teacher'] == '100.0%'
