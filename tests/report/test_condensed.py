"""Students against the bundle from which they started, from synthetic folders."""

import json
import shutil

import numpy as np
import pytest

from pidkd_jax import report
from pidkd_jax.report import run_folder
from pidkd_jax.report.comparison import Comparison, compare
from pidkd_jax.report.tables import brief, condensed
from tests.report import folders

TEACHER = 'a' * 64
LABELS = [
  folders.Label('none', 0.55, parameters=123_456),
  folders.Label('one', 0.65, parameters=500_000),
]


@pytest.fixture
def folder(tmp_path):
  """A run whose students started from their teacher, which has a teacher of its own."""
  home = folders.run(tmp_path / 'run', LABELS)
  for label in LABELS:
    for trial in label.trials:
      folders.change(
        home,
        f'{label.label}-{trial}',
        lambda card: card['training'].update(start={'digest': TEACHER}),
      )
  card = json.loads((home / 'teacher.json').read_text())
  card |= {'network': 'vgg13', 'cost': {'parameters': 9_000_000, 'multiply_adds': 10**9}}
  (home / 'origin.json').write_text(json.dumps(card))
  shutil.copy(home / 'outputs' / 'one-0.npz', home / 'outputs' / 'origin.npz')
  return home


def read(folder):
  return Comparison(tuple(run_folder.find([folder])[0]))


def cells(columns):
  return {column.heading: list(column.cells) for column in columns}


def outputs(folder, name):
  with np.load(folder / 'outputs' / f'{name}.npz') as file:
    return file['label'].astype(int), file['predicted'].astype(int)


def test_the_table_by_hand(folder):
  found = cells(condensed.columns(read(folder)))
  assert found[''] == ['first teacher vgg13', 'bundle resnet14x2', 'one resnet8', 'none resnet8']
  assert found['n'] == ['', '', '2', '2']
  assert found['parameters'] == ['9,000,000', '693,412', '500,000', '123,456']
  # 1 - 500,000 / 693,412 and 1 - 123,456 / 693,412.
  assert found['fewer parameters (%)'] == ['', '', '27.9', '82.2']
  assert found['fewer multiply-adds (%)'][2:] == ['40.7', '85.3']
  truth, bundle = outputs(folder, 'teacher')
  for row, label in ((2, 'one'), (3, 'none')):
    trials = [outputs(folder, f'{label}-{trial}')[1] for trial in (0, 1)]
    lost = np.mean([np.mean(one == truth) - np.mean(bundle == truth) for one in trials])
    mean, low, high = (
      float(word.strip('[],')) for word in found['top-1 minus the bundle (points)'][row].split(' ')
    )
    assert mean == pytest.approx(100 * lost, abs=0.006) and low < mean < high
    for other, name in ((bundle, 'bundle'), (outputs(folder, 'one-0')[1], 'first teacher')):
      agreed = 100 * np.mean([one == other for one in trials])
      text = found[f'agreement with the {name} (%)'][row]
      assert float(text.split(' ')[0]) == pytest.approx(agreed, abs=0.006)


def test_the_screen_compares_with_the_bundle(folder):
  whole = cells(condensed.columns(read(folder)))
  shown = cells(brief.columns(read(folder)))
  assert list(shown) == [
    'network',
    'parameters (M)',
    'top-1 (%)',
    'top-1 minus the bundle (points)',
    'agreement (%)',
  ]
  assert shown['network'] == whole['']
  assert shown['parameters (M)'] == ['9.000', '0.693', '0.500', '0.123']
  minus = 'top-1 minus the bundle (points)'
  assert shown[minus] == whole[minus] and shown['agreement (%)'][:2] == ['', '']


@pytest.mark.usefixtures('without_figures')
def test_the_sentences_say_the_same(folder):
  none, one, origin = condensed.sentences(read(folder))
  assert none.startswith("none deploys 123,456 of the bundle's 693,412 parameters (17.8%)")
  assert 'points lower (95%: -' in none and one.startswith('one deploys')
  assert 'the variation between bundles' in origin
  assert none in report.study([folder], folder.parent / 'out')
  assert 'fewer parameters (%)' in (folder.parent / 'out' / 'condensed.csv').read_text()


@pytest.mark.parametrize('start', [None, {'digest': 'b' * 64}])
def test_students_that_started_elsewhere_have_no_such_table(folder, start):
  folders.change(folder, 'one-1', lambda card: card['training'].update(start=start))
  comparison = read(folder)
  assert not comparison.condensed and condensed.columns(comparison) == []


def test_without_the_first_teacher_the_rest_stays(folder):
  (folder / 'origin.json').unlink()
  found = cells(condensed.columns(read(folder)))
  assert found[''] == ['bundle resnet14x2', 'one resnet8', 'none resnet8']
  assert 'agreement with the first teacher (%)' not in found


def test_a_label_that_started_elsewhere_is_another_comparison(folder, tmp_path):
  other = shutil.copytree(folder, tmp_path / 'other')
  for name in ('none-0', 'none-1', 'one-0', 'one-1'):
    folders.change(other, name, lambda card: card['training'].update(start=None))
    folders.change(other, name, lambda card: card['training']['member'].update(trial=7))
  assert len(compare(run_folder.find([folder, other])[0])) == 2
