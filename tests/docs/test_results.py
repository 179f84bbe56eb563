"""The tables of the lab's results: each number is its CSV's, rounded once."""

import csv
import pathlib
import re

import pytest

LAB = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'lab'
BLOCKS, EPOCHS, LABELS = 'proof-blocks.md', 'proof-epochs.md', 'labels.md'
TOP1, ALIGNMENT = 'top-1 (%)', 'alignment error'
PARAMETERS, AGREEMENT = 'parameters (M)', 'agreement (%)'
FACTORS = ('003', '01', '03', '1', '3', '10', '30', '100')
WEIGHTED = (
  'at', 'crd', 'dkd', 'dkd_standardized', 'fitnet', 'kd_01_09', 'kd_01_09_standardized', 'kd_1_1',
  'pefd', 'pkt', 'rkd', 'sp', 'srrl', 'vid', 'reviewkd', 'semckd',
)  # fmt: skip
LATER = (
  'catkd', 'ctkd', 'dist', 'mlkd', 'mlkd_standardized', 'norm', 'srd', 'thkd', 'vkd', 'wttm',
)  # fmt: skip


def measured(name):
  """Return {label: row} of a CSV."""
  with (LAB / 'results' / name).open(newline='') as file:
    return {row['label']: row for row in csv.DictReader(file)}


def table(heading, page='results.md', header=False):
  """Return the rows of the first table below a heading, or below the start of its own header."""
  below = (LAB / page).read_text().partition(f'\n{heading}')[2]
  below = heading + below if header else below
  lines = re.search(r'(?:^\|.*\n)+', below, re.MULTILINE)[0].splitlines()
  return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]


def check(cell, row, heading, difference=False):
  """Compare the numbers of a cell, mean ± deviation or difference [low, high], with a row."""
  names = (
    [heading, '95% from', '95% to'] if difference else [heading, f'{heading}, standard deviation']
  )
  numbers = re.findall(r'[-+]?\d+(?:\.\d+)?', cell.replace(',', '') if not difference else cell)
  for number, name in zip(numbers, names, strict=False):
    digits = len(number.partition('.')[2])
    sign = '+' if number[0] in '+-' else ''
    assert number == f'{float(row[name]):{sign}.{digits}f}', (row['label'], name)
  return len(numbers)


def check_rows(rows, labels, found, columns):
  """Compare a table's cells; `columns` has (cell's position, heading, whether a difference)."""
  checked = 0
  for cells, label in zip(rows, labels, strict=True):
    for position, heading, difference in columns:
      checked += check(cells[position], found[label], heading, difference)
  return checked


def simkd(position):
  return (position, 'top-1 minus simkd (points)', True)


def test_all_methods():
  found, rows = measured('methods/main.csv'), table('### All methods')
  labels = [cells[0] for cells in rows]
  assert sorted(labels) == sorted(found)
  assert [cells[1] for cells in rows] == [found[label]['trials'] for label in labels]
  columns = [(2, PARAMETERS, False), (3, TOP1, False), simkd(4)]
  columns += [(5, AGREEMENT, False), (6, 'cross-entropy', False)]
  assert check_rows(rows, labels, found, columns) == 20 * 4 + 19 + 18 * 3


@pytest.mark.parametrize(
  'folder, page, heading',
  [
    ('proof', BLOCKS, '## The first block'),
    ('proof/c', BLOCKS, '## Classes 41 to 60'),
    ('proof/d', BLOCKS, '## Classes 61 to 80'),
    ('proof/e', BLOCKS, '## Classes 81 to 100'),
    ('proof/arms', BLOCKS, '## All eight arms'),
    ('proof/e60', EPOCHS, '## 60 epochs'),
    ('labels', LABELS, '## The first block'),
  ],
)
def test_the_proof(folder, page, heading):
  found, rows = measured(f'{folder}/main.csv'), table(heading, page)
  labels = [cells[0] for cells in rows]
  assert labels == list(found)
  assert [cells[1] for cells in rows] == [found[label]['trials'] for label in labels]
  columns = [(2, PARAMETERS, False), (3, 'multiply-adds (M)', False), (4, TOP1, False)]
  columns += [(5, AGREEMENT, False), (6, ALIGNMENT, False)]
  aligned = sum(bool(found[label][ALIGNMENT]) for label in labels)
  assert check_rows(rows, labels, found, columns) == 5 * len(rows) - 1 + 2 * aligned


@pytest.mark.parametrize(
  'folder, page, heading',
  [
    ('proof', BLOCKS, 'The two primary questions'),
    ('proof/c', BLOCKS, 'The two questions there'),
    ('proof/d', BLOCKS, 'The two questions on this block'),
    ('proof/e', BLOCKS, 'The two questions on classes 81 to 100'),
    ('proof/arms', BLOCKS, 'The secondary comparisons'),
    ('proof/c/arms', BLOCKS, 'Classes 41 to 60 ([as CSV]'),
    ('proof/d/arms', BLOCKS, 'Classes 61 to 80 ([as CSV]'),
    ('proof/e/arms', BLOCKS, 'Classes 81 to 100 ([as CSV]'),
    ('proof/e60', EPOCHS, 'The three questions of 60 epochs'),
    ('labels', LABELS, 'The two primary questions'),
    ('labels/c', LABELS, 'Labels on classes 41 to 60'),
    ('labels/d', LABELS, 'Labels on classes 61 to 80'),
    ('labels/e', LABELS, 'Labels on classes 81 to 100'),
  ],
)
def test_contrasts_of_the_proof(folder, page, heading):
  with (LAB / 'results' / folder / 'contrasts.csv').open(newline='') as file:
    found = {row['contrast']: {**row, 'label': row['contrast']} for row in csv.DictReader(file)}
  rows = table(heading, page)
  assert [cells[0] for cells in rows] == list(found)
  for name, trials, mean, *intervals, p, corrected in rows:
    row = found[name]
    assert trials == row['trials']
    assert check(mean, row, 'top-1 (points)') == 2
    ways = '95% by t', '95% over trials and images', '95% by resamples'
    for cell, way in zip(intervals, ways, strict=True):
      low, high = (f'{float(row[f"{way}, {end}"]):+.2f}' for end in ('from', 'to'))
      assert cell == f'[{low}, {high}]'
    for cell, column in ((p, 'p'), (corrected, 'p (Holm)')):
      assert float(cell) == float(f'{float(row[column]):.2g}')


def test_kd_on_the_other_blocks():
  rows = table('## KD on the other blocks', BLOCKS)
  assert len(rows) == 3
  for (_, *cells), block in zip(rows, 'cde', strict=True):
    found = measured(f'proof/{block}/arms/main.csv')
    for cell, label in zip(
      cells, ('teacher', 'kd', 'scratch', 'pidkd_q3_f2', 'simkd'), strict=False
    ):
      assert check(cell, found[label], TOP1) == (1 if label == 'teacher' else 2)
    assert (
      check(cells[5], found['kd'], AGREEMENT) == check(cells[6], found['scratch'], AGREEMENT) == 1
    )


def test_labels_on_the_other_blocks():
  rows = table('## The other blocks', LABELS)
  assert len(rows) == 3
  labels = ('labels_10', 'wide_labels_10', 'kd')
  columns = [(AGREEMENT, label) for label in labels[:2]] + [
    (ALIGNMENT, label) for label in labels[:2]
  ]
  for (_, teacher, *cells), block in zip(rows, 'cde', strict=True):
    found = measured(f'labels/{block}/main.csv')
    assert check(teacher, found['teacher'], TOP1) == 1
    assert [check(cell, found[label], TOP1) for cell, label in zip(cells, labels)] == [2, 2, 2]
    for cell, (heading, label) in zip(cells[3:], columns, strict=True):
      assert check(cell, found[label], heading) == 1
    with (LAB / f'results/labels/{block}/trials.csv').open(newline='') as file:
      trials = {(row['label'], row['trial']): row for row in csv.DictReader(file)}
    for trial in map(str, range(5)):
      stack, wide = (trials[label, trial] for label in labels[:2])
      assert float(stack['results.top1']) > float(wide['results.top1'])
      assert 100 * float(stack['results.top1']) > float(found['teacher'][TOP1])
      assert float(stack['results.alignment_error']) < float(wide['results.alignment_error'])


@pytest.mark.parametrize(
  'file, page, heading, number',
  [
    ('proof/pooled', BLOCKS, '## All four blocks', '4'),
    ('proof/pooled_kd', BLOCKS, 'The mean of the four', '4'),
    ('labels/pooled', LABELS, 'The mean of the three', '3'),
  ],
)
def test_all_blocks(file, page, heading, number):
  with (LAB / 'results' / f'{file}.csv').open(newline='') as csv_file:
    found = {row['contrast']: row for row in csv.DictReader(csv_file)}
  rows = table(heading, page)
  assert [cells[0] for cells in rows] == list(found)
  for name, blocks, mean, *intervals in rows:
    row = {**found[name], 'label': name}
    assert blocks == row['comparisons'] == number
    assert check(mean, row, 'mean top-1 (points)') == 2
    for over, interval in zip(('comparisons', 'trials'), intervals, strict=True):
      low, high = (f'{float(row[f"95% by t over {over}, {end}"]):+.2f}' for end in ('from', 'to'))
      assert interval == f'[{low}, {high}]'


def test_later_rivals():
  found, rows = measured('later/main.csv'), table('### The later rivals')
  labels = [cells[0] for cells in rows]
  assert sorted(labels) == sorted(found)
  assert [cells[1] for cells in rows] == [found[label]['trials'] for label in labels]
  columns = [(2, PARAMETERS, False), (3, TOP1, False), (5, AGREEMENT, False)]
  assert check_rows(rows, labels, found, columns) == 17 * 3 + 16
  with (LAB / 'results' / 'later' / 'contrasts.csv').open(newline='') as file:
    contrasts = {row['contrast'].removesuffix(' minus simkd'): row for row in csv.DictReader(file)}
  names = ('top-1 (points)', '95% by t, from', '95% by t, to')
  for cells in rows:
    if cells[0] in ('teacher', 'simkd'):
      assert not cells[4]
      continue
    mean, low, high = (f'{float(contrasts[cells[0]][name]):+.2f}' for name in names)
    assert cells[4] == f'{mean} [{low}, {high}]'


def test_capacity():
  labels = ['pidkd', 'learned', 'separate', 'wide', 'simkd', 'kd_1_1_widened', 'kd_1_1']
  labels += ['scratch_widened', 'scratch']
  columns = [(1, PARAMETERS, False), (2, 'multiply-adds (M)', False), (3, TOP1, False), simkd(4)]
  columns += [(5, ALIGNMENT, False)]
  rows = table('### Is it the projectors')
  assert check_rows(rows, labels, measured('capacity/main.csv'), columns) == 9 * 4 + 8 * 3 + 5 * 2


def test_projectors():
  found = measured('projectors/main.csv')
  for q, cells in zip((1, 2, 3, 4, 6), table('### How many projectors'), strict=True):
    for f, cell in zip((1, 2, 4, 8), cells[1:], strict=True):
      assert check(cell, found[f'q{q}_f{f}'], TOP1) == 2


def test_scale():
  found = measured('scale/main.csv')
  for weight, cells in zip(
    (1, 3, 10, 30, 100), table('### How strongly the feature loss'), strict=True
  ):
    assert cells[0] == str(weight)
    for cell, start in zip(cells[1:3], ('pytorch', 'he'), strict=True):
      assert check(cell, found[f'{start}_weight{weight}'], TOP1) == 1
  labels = ['published', 'pytorch_weight10', 'pytorch_weight100', 'warmup', 'projectors_slow']
  rows = table('| other settings, from', header=True)
  columns = [(1, TOP1, False), (2, 'top-1 minus pytorch_weight30 (points)', True)]
  assert check_rows(rows, [*labels, 'projectors_fast'], found, columns) == 6 * 4


@pytest.mark.parametrize(
  'heading, names, methods',
  [
    ("### The rivals'", ('weights/reviewkd-semckd.csv', 'weights/main.csv'), WEIGHTED),
    ("### The later rivals'", ('rivals_2024/main.csv',), LATER),
  ],
)
def test_weights(heading, names, methods):
  found = {label: row for name in names for label, row in measured(name).items()}
  rows = table(f'{heading} own weights')
  for method, cells in zip(methods, rows, strict=True):
    values = {}
    for factor, cell in zip(FACTORS, cells[1:], strict=True):
      if row := found.get(f'{method}_x{factor}'):
        assert check(cell, row, TOP1) == 1
        values[cell] = float(row[TOP1])
      else:
        assert re.search(r'diverged|at \d', cell), (method, factor)
    [bold] = [cell for cell in cells if cell.startswith('**')]
    assert values[bold] == max(values.values()), method


def test_pairs():
  rows = table('### Pairs')
  labels = [cells[0].partition(',')[0] for cells in rows]
  columns = [(1, PARAMETERS, False), (2, TOP1, False), simkd(3), (4, AGREEMENT, False)]
  assert check_rows(rows, labels, measured('pairs/main.csv'), columns) == 5 * 3 + 4 + 3 * 3


# With Student's t of a degree of freedom less than there are trials.
@pytest.mark.parametrize(
  'heading, student', [('## A tenth of the labels', 2.776), ('### On photographs', 4.303)]
)
def test_a_tenth_of_the_labels(heading, student):
  for cells in table(heading):
    path, label = re.search(r'results/(unlabelled[^)]+)\) (\w+)', cells[0]).groups()
    found = measured(path)[label]
    assert cells[3] == found['trials'] and check(cells[4], found, TOP1) == 2
    half = student * float(found[f'{TOP1}, standard deviation']) / int(cells[3]) ** 0.5
    low, high = (float(found[TOP1]) + sign * half for sign in (-1, 1))
    assert cells[5] == f'{low:.2f} to {high:.2f}'


def test_demo():
  for cells in table('## The demo'):
    found = measured(re.search(r'results/(demo/[^)]+)', cells[0])[1])
    for label, cell in zip(('scratch', 'pidkd', 'kd_1_1'), cells[2:], strict=True):
      assert not cell or check(cell, found[label], TOP1) == 2


def test_latency():
  with (LAB / 'results/latency/latency.csv').open(newline='') as file:
    found = {(row['network'], row['images']): row | {'label': ''} for row in csv.DictReader(file)}
  for name, *cells in table('## Latency', 'deployment.md'):
    one, many = found[name, '1'], found[name, '64']
    for cell, row, heading in (
      (cells[0], one, TOP1),
      (cells[1], one, 'size (MB)'),
      (cells[2], one, 'median (ms)'),
      (cells[3], many, 'median (ms)'),
      (cells[4], many, 'images/s'),
      (cells[5], many, 'peak memory (MiB)'),
    ):
      assert check(cell, row, heading) == 1


@pytest.mark.parametrize('q', [2, 3, 4, 6])
def test_gains_by_number_of_projectors(q):
  found = measured('projectors/main.csv')
  gains = [float(found[f'q{q}_f{f}'][TOP1]) - float(found[f'q1_f{f}'][TOP1]) for f in (1, 2, 4, 8)]
  text = ' '.join((LAB / 'results.md').read_text().split())
  [said] = re.findall(
    r'against one projector, two gain ([\d.]+) points, three ([\d.]+), four '
    r'([\d.]+) and six ([\d.]+)',
    text,
  )
  assert f'{sum(gains) / 4:.2f}' == dict(zip((2, 3, 4, 6), said, strict=True))[q]


def test_the_choice_of_labels_beside_the_map():
  with (LAB / 'results/leads/labelled-trials.csv').open(newline='') as file:
    trials = {}
    for row in csv.DictReader(file):
      trials.setdefault(row['label'], []).append(100 * float(row['results.top1']))
  found = measured('leads/labelled.csv')
  shown = {label: ', '.join(f'{value:.2f}' for value in own) for label, own in trials.items()}
  labels = ('kd', 'pidkd', 'labels_1', 'labels_3', 'labels_10', 'terms', 'terms_alone')
  labels += ('wide_terms', 'simkd_terms')
  for cells, label in zip(table('## How it was chosen', LABELS), labels, strict=True):
    assert cells[1] == shown[label]
    if label != 'kd':
      pairs = zip(trials[label], trials['kd'], strict=True)
      assert cells[2] == ', '.join(f'{one - other:+.2f}' for one, other in pairs)
    assert check(cells[3], found[label], AGREEMENT) == 1
  for weight, wide, stack in table('## The weight', LABELS):
    assert (wide, stack) == (shown[f'wide_labels_{weight}'], shown[f'labels_{weight}'])
  for weight, wide, stack in table('of both trials:', LABELS):
    assert (wide, stack) == (shown[f'wide_labels_{weight}'], shown.get(f'labels_{weight}', ''))
  rows = {'0.3': 'kd_03', '1': 'kd_1', '3': 'kd', '10': 'kd_10', '30': 'kd_30'}
  assert table("## KD's own weight", LABELS) == [[name, shown[own]] for name, own in rows.items()]
