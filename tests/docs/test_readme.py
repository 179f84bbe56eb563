"""README: its size, its picture, its numbers; tests/examples runs its lines of Python."""

import csv
import pathlib
import re
import tomllib
import xml.etree.ElementTree as ET

import pidkd_jax as kd
from pidkd_jax.methods import catalog

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / 'README.md').read_text()
LINES, COLUMNS = 150, 100


def rows(text: str) -> list[list[str]]:
  """Return the cells of all tables' rows."""
  return [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in text.splitlines()
    if line.startswith('|')
  ]


def test_readme_is_short():
  lines = README.splitlines()
  assert len(lines) <= LINES
  assert [line for line in lines if len(line) > COLUMNS] == []


def test_the_picture_stands_alone_and_is_described():
  [path] = re.findall(r'!\[[^]]+\]\(([^)]+)\)', README)
  svg = (ROOT / path).read_text()
  root = ET.fromstring(svg)
  assert root.find('{*}title') is not None and root.find('{*}desc') is not None
  assert not re.search(r'(?:href|src)="(?!#)|url\(|@import', svg)  # Hosts block what is elsewhere.
  assert 'prefers-color-scheme: dark' in svg and 'class="paper"' in svg


def test_the_numbers_are_those_of_the_lab():
  folder = ROOT / 'docs/lab/results/proof'

  def read(name, key):
    with (folder / name).open(newline='') as file:
      return {row[key]: row for row in csv.DictReader(file)}

  found = read('arms/main.csv', 'label')
  # The primary questions stand in the tables of the first block.
  differences = read('arms/contrasts.csv', 'contrast') | read('contrasts.csv', 'contrast')

  def difference(one, other):
    row = differences.get(f'{one} minus {other}')
    if row is None:
      return ''
    low, high = (f'{float(row[f"95% by t, {end}"]):+.2f}' for end in ('from', 'to'))
    return f'{float(row["top-1 (points)"]):+.2f} [{low}, {high}]'

  labels = {'student alone': 'scratch', 'SimKD (1,2)': 'simkd'}
  _, _, *shown = rows(README)
  assert len(shown) == len(found)
  for name, n, costs, top1, to_simkd, to_wide, agreement in shown:
    method, q, f = re.fullmatch(r'(\w+)(?: .*(\d),(\d)\))?.*', name).groups()
    label = labels.get(name) or (f'{method}_q{q}_f{f}' if q else method).lower()
    row = found[label]
    assert n == (row['trials'] or '1')
    numbers = [float(row[f'{cost} (M)']) for cost in ('parameters', 'multiply-adds')]
    assert costs == f'{numbers[0]:.3f}, {numbers[1]:.1f}'
    deviation = row['top-1 (%), standard deviation']
    expected = f'{float(row["top-1 (%)"]):.2f}' + (
      f' ± {float(deviation):.2f}' if deviation else ''
    )
    assert (top1, to_simkd) == (expected, difference(label, 'simkd')), name
    assert to_wide == difference(label, label.replace('pidkd', 'wide')), name
    assert agreement == f'{float(row["agreement (%)"]):.0f}'


def test_counts_extras_and_targets_are_real():
  assert f'[{len(kd.models.names())} networks]' in README
  files = {catalog.class_of(name)[0].__module__.rpartition('.')[2] for name in catalog.names()}
  rivals = {'simkd'} | files - {
    'pidkd',
    'labelled',
    'wide',
    'linear',
    'scratch',
  }  # SimKD is PIDKD with q = 1.
  assert f'train {len(rivals)} published rivals' in README
  extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  named = re.findall(r"'(?:\.|pidkd_jax)\[([\w,]+)\]'", README)
  assert {extra for combined in named for extra in combined.split(',')} <= set(extras)
  targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
  assert set(re.findall(r'make ([a-z]+)', README)) <= set(targets)
