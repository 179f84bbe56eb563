"""The closing sentences of a run on few images, from synthetic folders."""

import json

import numpy as np
import pytest

from pidkd_jax import report
from pidkd_jax.report import conclusion, run_folder
from pidkd_jax.report.comparison import Comparison
from tests.report import folders

PIDKD = folders.Label('pidkd', 0.6, parameters=290_000, needs_labels=False)
KD = folders.Label('kd_1_1', 0.6, parameters=101_000, needs_labels=True)
SCRATCH = folders.Label('scratch', 0.5, needs_labels=True)
LABELS = [PIDKD, KD, SCRATCH]


def sentences(folder):
  return conclusion.sentences(Comparison(tuple(run_folder.find([folder])[0])))


def top1(folder, label):
  cards = [json.loads(path.read_text()) for path in folder.glob(f'bundles/{label}-*/card.json')]
  return 100 * np.mean([card['results']['top1'] for card in cards])


def test_they_say_what_the_run_shows_and_what_not(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, shots=5)
  shown, not_shown = sentences(folder)
  assert shown == (
    'Shown: with 5 training images of each class, resnet8 reaches '
    f'{top1(folder, "scratch"):.1f}% alone, {top1(folder, "pidkd"):.1f}% with pidkd (no labels, '
    f'2.9 times the parameters) and {top1(folder, "kd_1_1"):.1f}% with kd_1_1 (as many '
    'parameters); the teacher, which saw all images, reaches 70.0%.'
  )
  gain = top1(folder, 'pidkd') - top1(folder, 'kd_1_1')
  assert not_shown.startswith(
    f'Not shown: which of pidkd and kd_1_1 is better ({gain:+.1f} points, 95% interval -'
  )
  assert not_shown.endswith(
    ', nor what other training images would give, as no interval covers the choice of these 5.'
  )


@pytest.mark.usefixtures('without_figures')
def test_the_report_and_the_summary_have_them(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, shots=5)
  summary, said = report.run(folder), sentences(folder)
  assert '\n\n'.join(said) in (folder / 'report.md').read_text()
  assert list(summary.notes[-2:]) == said


def test_a_difference_that_is_decided_is_not_called_open(tmp_path):
  better = folders.Label('kd_1_1', 0.9)
  _, not_shown = sentences(folders.run(tmp_path / 'run', [PIDKD, better, SCRATCH], shots=5))
  assert not_shown.startswith('Not shown: what other training images would give')


def test_a_teacher_of_other_data_or_of_few_images_did_not_see_all(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, shots=5)
  card = json.loads((folder / 'teacher.json').read_text())
  for other in ({'training': {'shots': 5}}, {'dataset': {'fingerprint': '0'}}, {'training': None}):
    (folder / 'teacher.json').write_text(json.dumps({**card, **other}))
    assert 'saw all' not in sentences(folder)[0]


@pytest.mark.usefixtures('without_figures')
@pytest.mark.parametrize(
  'labels, options',
  [
    (LABELS, {'shots': 0}),
    (LABELS, {}),
    (LABELS[:2], {'shots': 5}),
    (LABELS[2:], {'shots': 5}),
    (LABELS, {'shots': 5, 'teacher_card': False}),
    ([*LABELS, *(folders.Label(name) for name in ('simkd', 'dkd'))], {'shots': 5}),
  ],
)
def test_other_runs_have_none(tmp_path, labels, options):
  folder = folders.run(tmp_path / 'run', labels, **options)
  assert sentences(folder) == [] and 'hown:' not in str(report.run(folder))
