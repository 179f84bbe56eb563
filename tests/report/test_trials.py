"""The table of all trials, from which others can be computed anew."""

import csv
import json
import statistics

import pytest

from pidkd_jax import report
from tests.report import folders

pytestmark = pytest.mark.usefixtures('without_figures')
LABELS = [folders.Label('pidkd', 0.7, trials=(0, 1, 2), aligned=True), folders.Label('kd', 0.6)]


def rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, seed=7, epochs=2)

  def more(card):
    card['results']['probe'] = {'digits': 0.25}
    card['cost']['training_bytes'] = 1234

  folders.change(folder, 'pidkd-1', more)
  return folder


def test_a_run_and_a_study_write_every_measure_of_every_trial(folder, tmp_path):
  report.run(folder)
  report.study([folder], tmp_path / 'out')
  found = rows(folder / 'trials.csv')
  assert found == rows(tmp_path / 'out' / 'trials.csv')
  assert [(row['label'], row['trial'], row['seed']) for row in found] == [
    ('teacher', '', ''),
    *(('pidkd', str(trial), '7') for trial in range(3)),
    *(('kd', str(trial), '7') for trial in range(2)),
  ]
  card = json.loads((folder / 'bundles' / 'pidkd-1' / 'card.json').read_text())
  for measure, value in card['results'].items():
    if not isinstance(value, dict):
      assert float(found[2][f'results.{measure}']) == pytest.approx(value, rel=1e-9), measure
  assert float(found[2]['results.best_on_test.top1']) == card['results']['best_on_test']['top1']
  assert (found[2]['results.probe.digits'], found[1]['results.probe.digits']) == ('0.25', '')
  assert (found[2]['cost.parameters'], found[2]['cost.training_bytes']) == ('100000', '1234')
  assert (found[2]['training.epoch'], found[2]['training.teacher_seconds']) == ('2', '60')
  for text in (folder / 'report.md', tmp_path / 'out' / 'report.md'):
    assert '(trials.csv)' in text.read_text()


def test_the_main_table_follows_from_it(folder):
  report.run(folder)
  main = {row['label']: row for row in rows(folder / 'main.csv')}
  trials = [row for row in rows(folder / 'trials.csv') if row['trial']]
  top1 = {(row['label'], row['trial']): 100 * float(row['results.top1']) for row in trials}
  ours = [value for (label, _), value in top1.items() if label == 'pidkd']
  assert float(main['pidkd']['top-1 (%)']) == pytest.approx(statistics.mean(ours))
  assert float(main['pidkd']['top-1 (%), standard deviation']) == pytest.approx(
    statistics.stdev(ours), rel=1e-6
  )
  difference = statistics.mean(top1['kd', i] - top1['pidkd', i] for i in '01')
  assert float(main['kd']['top-1 minus pidkd (points)']) == pytest.approx(difference)


def test_each_comparison_has_its_own(folder, tmp_path):
  folders.run(tmp_path / 'other', LABELS[1:], seed=3, epochs=1)
  text = report.study([folder, tmp_path / 'other'], tmp_path / 'out')
  second = '2-resnet14x2-resnet8-1epochs/trials.csv'
  assert f']({second})' in text and len(rows(tmp_path / 'out' / second)) == 3
