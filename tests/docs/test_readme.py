"""README: its size, its picture, its numbers; tests/examples runs its lines of Python."""

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
  lab = (ROOT / 'docs/lab/results.md').read_text()
  lab = lab.partition('### The later rivals\n')[2].partition('\n###')[0]
  measured = {row[0]: row[1:6] for row in rows(lab)}
  header, _, *shown = rows(README)
  assert header[1:] == [
    'n', 'deployed parameters (M)', 'top-1 (%)', 'minus SimKD [95%]',
    'agreement with the teacher (%)',
  ]  # fmt: skip
  others = {'student alone': 'scratch', 'kd': 'kd_1_1', 'pidkd': 'pidkd_q3_f2'}
  for name, n, *values in shown:
    label = name.partition(',')[0].lower()
    count, *expected = measured[others.get(label, label)]
    assert n == (count or '1'), name
    assert [value.removesuffix('.0') for value in values] == [
      value.removesuffix('.0') for value in expected
    ], name


def test_counts_extras_and_targets_are_real():
  assert f'[{len(kd.models.names())} networks]' in README
  files = {catalog.class_of(name)[0].__module__.rpartition('.')[2] for name in catalog.names()}
  rivals = {'simkd'} | files - {'pidkd', 'wide', 'linear', 'scratch'}  # SimKD is PIDKD with q = 1.
  assert f'train {len(rivals)} published rivals' in README
  extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  named = re.findall(r"'(?:\.|pidkd_jax)\[([\w,]+)\]'", README)
  assert {extra for combined in named for extra in combined.split(',')} <= set(extras)
  targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
  assert set(re.findall(r'make ([a-z]+)', README)) <= set(targets)
