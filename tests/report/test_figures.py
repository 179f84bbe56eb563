"""What figures show, read from Matplotlib's objects."""

import json
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from pidkd_jax import report
from pidkd_jax.report import class_names, run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import (
  FIGURES,
  agreement,
  calibration,
  canvas,
  curves,
  features,
  log_axis,
  overlap,
  scatter,
  size,
)
from pidkd_jax.report.style import label_styles
from tests.report import folders

ODD = ('$x^', 'a$b_$', '_hidden')
NAMES = ('$', '$a$', '_x', 'n01443537', '{}', '\\alpha', 'a$b$c', 'h', 'i', 'j')


def read(folder):
  return Comparison(tuple(run_folder.find([folder])[0]))


def texts(axes):
  return [text.get_text() for text in axes.texts]


def rename(folder, names, dataset='toy'):
  """Change the names of classes and dataset in every card."""
  for path in [*folder.glob('bundles/*/card.json'), folder / 'teacher.json']:
    card = json.loads(path.read_text())
    card['dataset'] |= {'class_names': list(names), 'name': dataset}
    path.write_text(json.dumps(card))
  return folder


def test_names_may_have_any_characters(tmp_path):
  labels = [
    folders.Label(name, trials=(0,), method='pidkd', aligned=True, size=(1 + i, 2))
    for i, name in enumerate(ODD)
  ]
  folder = rename(folders.run(tmp_path / 'run', labels, epochs=2), NAMES, '$set$')
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    report.study([folder], tmp_path / 'out')
  assert {f'{name}.png' for name in FIGURES} <= {path.name for path in (tmp_path / 'out').iterdir()}


def test_text_is_shown_as_it_is(tmp_path):
  with canvas.literal_text():
    text = Figure().text(0, 0, '$x$')
  assert not text.get_parse_math()
  canvas.save(text.figure, tmp_path / 'a.png')
  for draw in FIGURES.values():  # Each draws within that context.
    assert getattr(draw, '__wrapped__', None), draw


def test_classes_have_their_names(tmp_path):
  folder = rename(folders.run(tmp_path / 'run', [folders.Label('kd', trials=(0,))]), NAMES)
  figure, _ = features.draw(read(folder), None)
  legend = figure.axes[-1].get_legend()
  assert [text.get_text() for text in legend.get_texts()] == [
    '$',
    '$a$',
    '_x',
    'goldfish',
    '{}',
    '\\alpha',
    'a$b$c',
    'h',
  ]
  assert len(class_names._words()) == 200 and 'acorn' in class_names._words().values()


def test_features_of_one_channel_have_no_axes(tmp_path):
  labels = [folders.Label('kd', trials=(0,)), folders.Label('thin', trials=(0,))]
  folder = folders.run(tmp_path / 'run', labels, epochs=2)
  path = folder / 'outputs' / 'thin-0.npz'
  arrays = dict(np.load(path))
  np.savez(path, **arrays | {'pooled': arrays['pooled'][:, :1]})
  titles = [axes.get_title() for axes in features.draw(read(folder), None)[0].axes]
  assert any('kd resnet8' in title for title in titles) and 'thin' not in ''.join(titles)


def test_a_title_has_no_checksum(tmp_path):
  folder = folders.run(tmp_path / 'run', [folders.Label('kd', trials=(0,))], epochs=2)
  rename(folder, NAMES, 'unverified_tin100_20_59388eb3')
  assert read(folder).title == 'tin100-20 (unverified), ResNet-14x2 → ResNet-8'


def test_a_teachers_size_is_that_of_the_axis(tmp_path):
  comparison = read(folders.run(tmp_path / 'run', [folders.Label('kd', trials=(0,))], epochs=2))
  left, right = size.draw(comparison, None)[0].axes
  assert 'teacher resnet14x2, 0.693 M' in texts(left)
  assert 'teacher resnet14x2, 101 M' in texts(right)
  [axes] = agreement.draw(comparison, None)[0].axes
  assert 'teacher resnet14x2' in texts(axes)


def test_points_that_lie_on_each_other_are_rings():
  axes = Figure().subplots()
  values = {'a': ([1.0], [50.0]), 'simkd': ([1.0], [50.0]), 'b': ([1.0], [50.1]), 'c': ([9], [80])}
  scatter.draw(axes, values, label_styles(values, 'simkd'))
  markers = [(line.get_markersize(), line.get_zorder()) for line in axes.lines]
  [simkd, a, b, c] = markers  # The prominent one is drawn first, behind the others.
  assert simkd[0] > a[0] > b[0] == c[0] and simkd[1] < a[1] < b[1]


def test_a_line_along_another_is_dotted(tmp_path):
  labels = [folders.Label('kd', trials=(0,)), folders.Label('twin', trials=(0,))]
  folder = folders.run(tmp_path / 'run', labels, epochs=3)
  path = folder / 'metrics.jsonl'
  rows = [json.loads(line) for line in path.read_text().splitlines() if 'twin' not in line]
  twins = [row | {'member': 'twin-0', 'label': 'twin'} for row in rows]
  path.write_text(''.join(json.dumps(row) + '\n' for row in [*rows, *twins]))
  top1, *_ = curves.draw(read(folder), None)[0].axes
  first, second, teacher = top1.lines
  assert first.get_linestyle() == '-' and second.get_linestyle() == '--'  # Any dash pattern.
  assert second.get_zorder() > first.get_zorder()
  assert set(teacher.get_ydata()) == {100 * read(folder).teacher.value('results', 'top1')}
  assert overlap.hidden({'a': {1: 1.0, 2: 2.0}, 'b': {1: 1.5, 2: 2.0}}) == []


def test_curves_name_all_labels_and_each_method_has_axes_of_its_losses(tmp_path):
  labels = [folders.Label(f'row{i}', 0.3 + i / 50, trials=(0,)) for i in range(18)]
  labels += [folders.Label(name, trials=(0,), method='kd') for name in ('kd1', 'kd9')]
  folder = folders.run(tmp_path / 'run', labels, epochs=2, outputs=False)
  figure, _ = curves.draw(read(folder), None)
  top1, *losses = figure.axes
  assert set(texts(top1)) == {'teacher', *(label.label for label in labels)}
  assert [axes.get_title() for axes in losses] == [
    *(f'row{i}' for i in range(18)),
    'kd: 2 labels',
  ]
  assert [text.get_text() for text in losses[-1].get_legend().get_texts()] == ['kd1', 'kd9']
  assert [len(axes.lines) for axes in losses] == [1] * 18 + [2]
  assert all(tick == int(tick) for axes in losses for tick in axes.get_xticks())


def test_the_last_third_is_not_stretched_to_a_distant_teacher(tmp_path):
  for name, top1, lines in (('near', 0.69, 3), ('far', 0.2, 2)):
    labels = [folders.Label('kd', top1, trials=(0,)), folders.Label('at', top1 - 0.02, trials=(0,))]
    _, zoom, *_ = curves.draw(read(folders.run(tmp_path / name, labels)), None)[0].axes
    assert len(zoom.lines) == lines


def test_a_loss_that_is_not_positive_has_a_linear_axis(tmp_path):
  labels = [folders.Label('kd', trials=(0,)), folders.Label('crd', trials=(0,))]
  folder = folders.run(tmp_path / 'run', labels, epochs=3)
  path = folder / 'metrics.jsonl'
  rows = [json.loads(line) for line in path.read_text().splitlines()]
  rows[2]['train_loss'], rows[4]['train_loss'] = -0.5, float('nan')
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  _, kd, crd = curves.draw(read(folder), None)[0].axes
  assert (kd.get_yscale(), crd.get_yscale()) == ('linear', 'log')


@pytest.mark.parametrize(('low', 'high'), [(0.9, 1.1), (0.5, 8), (1e-3, 40), (1e-12, 1e12)])
def test_a_logarithmic_axis_has_room_for_its_numbers(low, high):
  axes = Figure().subplots()
  axes.set_yscale('log')
  axes.set_ylim(low, high)
  log_axis.use_plain_numbers(axes.yaxis, most=7)
  # Matplotlib 3.10.0 places one more than later versions.
  assert 1 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 9


def test_reliability_has_intervals_over_images(tmp_path):
  folder = folders.run(tmp_path / 'run', [folders.Label('kd', trials=(0, 1))])
  trials = list(read(folder).labels['kd'].values())
  confidence, accuracy, low, high = calibration._bins(trials)
  assert np.all(low <= accuracy) and np.all(accuracy <= high) and np.any(low < high)
  # The accuracy of a bin of two trials, by hand.
  sure = np.concatenate([trial.outputs.confidence for trial in trials])
  right = np.concatenate([trial.outputs.correct for trial in trials])
  within = (sure > 0.6) & (sure <= 0.7)
  bin_number = int(np.flatnonzero((confidence > 0.6) & (confidence <= 0.7))[0])
  assert accuracy[bin_number] == pytest.approx(right[within].mean())
  assert confidence[bin_number] == pytest.approx(sure[within].mean())
  # About two standard errors of a binomial share to each side.
  error = np.sqrt(accuracy[bin_number] * (1 - accuracy[bin_number]) / within.sum())
  assert 2 * error < high[bin_number] - low[bin_number] < 7 * error
  axes = calibration.draw(read(folder), None)[0].axes[1]
  assert len(axes.containers) == 2  # A student's error bars and the teacher's.
