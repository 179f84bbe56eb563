"""The picture of a comparison, from synthetic folders."""

import json

import numpy as np
import pytest

from pidkd_jax.report import run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import summary
from tests.report import folders

LABELS = [folders.Label('pidkd', 0.65, trials=(0, 1, 2)), folders.Label('scratch', 0.5)]


def read(folder):
  return Comparison(tuple(run_folder.find([folder])[0]))


def draw(folder):
  figure, caption = summary.draw(read(folder), 'scratch')
  return *figure.axes, caption


def texts(axes):
  return [text.get_text() for text in axes.texts]


def test_it_has_a_line_for_each_trial_and_for_each_mean(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS)
  left, right, caption = draw(folder)
  # Three trials and their mean, two and theirs, and the teacher.
  assert len(left.lines) == 4 + 3 + 1
  assert {'pidkd', 'scratch', 'teacher'} <= set(texts(left))
  rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  values = [
    100 * row['test_top1'] for row in rows if row['label'] == 'pidkd' and row['epoch'] == 12
  ]
  mean = left.lines[3]
  assert mean.get_xdata()[-1] == 12 and mean.get_ydata()[-1] == pytest.approx(np.mean(values))
  assert 'Thin lines are trials' in caption and 'paired by trial and by image' in caption
  dots = [len(points.get_offsets()) for points in right.collections]
  assert dots == [3, 2]
  assert 'minus scratch [95%]' in texts(right) and 'teacher 70.0' in texts(right)
  assert sum('[' in text and '+' in text for text in texts(right)) == 1


def test_without_outputs_teacher_and_comparison_it_still_stands(tmp_path):
  one = [folders.Label('pidkd', trials=(0,))]
  folder = folders.run(tmp_path / 'run', one, outputs=False, teacher_card=False)
  figure, caption = summary.draw(read(folder), None)
  left, right = figure.axes
  assert len(left.lines) == 1 and 'Differences' not in caption
  assert '95% interval' not in right.get_xlabel()


@pytest.mark.parametrize('outputs', [True, False])
def test_the_caption_has_bars_where_the_figure_has(outputs, tmp_path):
  _, right, caption = draw(folders.run(tmp_path / 'run', LABELS, outputs=outputs))
  assert ('bar: 95% interval' in right.get_xlabel()) == outputs
  assert ('bars' in caption.lower()) == outputs
  assert 'Differences to scratch are paired by trial' in caption


def test_a_holdout_is_not_compared_with_the_teachers_test_images(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS)
  path = folder / 'metrics.jsonl'
  path.write_text(path.read_text().replace('test_top1', 'holdout_top1'))
  left, right, caption = draw(folder)
  assert 'teacher' not in texts(left) and 'teacher 70.0' in texts(right)
  assert caption.startswith('Left: holdout top-1')


def test_a_run_that_was_evaluated_once_has_no_growth(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, epochs=1)
  results, caption = draw(folder)
  assert 'by epoch' not in caption and 'dots: trials' in results.get_xlabel()


def test_a_run_without_evaluations_has_none(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS)
  (folder / 'metrics.jsonl').write_text('')
  assert summary.draw(read(folder), 'scratch') is None
