"""The picture of a run, from synthetic folders: networks, sizes, predictions."""

import json

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.figures import canvas, overview
from tests.report import folders

LABELS = [
  folders.Label('kd', 0.65, trials=(0, 1)),
  folders.Label('pidkd', 0.5, trials=(0, 1), size=(3, 2)),
]


def read(folder):
  return Comparison(tuple(run_folder.find([folder])[0]))


def texts(figure):
  written = [text.get_text() for text in figure.texts]
  for axes in figure.axes:
    written += [axes.get_title(), *(text.get_text() for text in axes.texts)]
  return written


def deploy(folder, name):
  """Give a bundle of a synthetic run the parts of a distilled network."""
  folders.change(
    folder, name, lambda card: card['model'].update(target=[2, 4, 128], num_classes=10)
  )
  arrays = {
    'params/student/conv/kernel': np.zeros((7, 11)),
    'params/projectors/a': np.zeros(2500),
    'params/teacher/linear/kernel': np.zeros((128, 10)),
    'batch_stats/student/norm/mean': np.zeros(9999),
  }
  np.savez(folder / 'bundles' / name / 'variables.npz', **arrays)


def test_it_shows_the_networks_with_their_sizes(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, epochs=2)
  deploy(folder, 'pidkd-0')
  figure, caption = overview.draw(read(folder), 'kd')
  written = texts(figure)
  for text in ('77 parameters', '3 projectors', '2.5 k parameters', '1.28 k parameters'):
    assert text in written
  # The teacher has 693,412 parameters, and its classifier 1,280 of them.
  assert '692 k parameters, only in training' in written
  assert {'each to 128 channels', '2×4×128', '10 classes'} <= set(written)
  assert 'networks of pidkd' in caption


def test_it_shows_what_teacher_and_best_student_predict(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, epochs=2)
  comparison = read(folder)
  best = max(comparison.labels['kd'].values(), key=lambda trial: trial.value('results', 'top1'))
  figure, caption = overview.draw(comparison, 'kd')
  images, bars = figure.axes[-15::3], figure.axes[-13::3]
  assert [axes.get_title() for axes in images] == ['ant', 'bee', 'cat', 'dog', 'emu']
  first, likely = bars[0].texts[:2], best.outputs.probabilities[0]
  assert [text.get_text() for text in first] == [
    folders.CLASSES[likely.argmax()],
    f'{100 * likely.max():.0f}%',
  ]
  assert f'{best.name} is the best trial' in caption
  assert any(text.startswith('kd: 6') for text in texts(figure))


@pytest.mark.parametrize('missing', ['outputs', 'images', 'probabilities'])
def test_a_run_without_images_or_probabilities_says_so(tmp_path, missing):
  folder = folders.run(tmp_path / 'run', LABELS, epochs=2, outputs=missing != 'outputs')
  if missing == 'images':
    (folder / 'outputs' / 'examples.npz').unlink()
  for path in folder.glob('outputs/*-*.npz') if missing == 'probabilities' else ():
    arrays = {name: array for name, array in np.load(path).items() if name != 'probabilities'}
    np.savez(path, **arrays)
  (folder / 'outputs' / 'teacher.npz').unlink(missing_ok=True)
  figure, caption = overview.draw(read(folder), 'kd')
  assert caption.endswith('kept no test images to show, so no predictions are shown.')
  assert 'emu' not in texts(figure)


def test_a_part_of_a_split_run_finds_the_images_above_it(tmp_path):
  folder = folders.run(tmp_path / 'home' / 'part-1', LABELS, epochs=2)
  (tmp_path / 'home' / 'outputs').mkdir()
  (folder / 'outputs' / 'examples.npz').rename(tmp_path / 'home' / 'outputs' / 'examples.npz')
  _, caption = overview.draw(read(tmp_path / 'home'), 'kd')
  assert 'first 5 test images' in caption


@pytest.mark.parametrize('image_shape', [(8, 8, 1), (64, 48, 3)])
@pytest.mark.parametrize('labels', [LABELS[:1], LABELS[1:]])
def test_any_images_and_a_single_label_are_drawn(tmp_path, image_shape, labels):
  folder = folders.run(tmp_path / 'run', labels, epochs=2, image_shape=image_shape)
  figure, _ = overview.draw(read(folder), None)
  canvas.save(figure, tmp_path / 'a.png')
  assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('channels', [2, 4])
def test_images_that_are_neither_grey_nor_rgb_are_not_shown(tmp_path, channels):
  folder = folders.run(tmp_path / 'run', LABELS[:1], epochs=2, image_shape=(8, 8, channels))
  comparison = read(folder)
  assert comparison.runs[0].examples is None
  _, caption = overview.draw(comparison, None)
  assert caption.endswith('kept no test images to show, so no predictions are shown.')


def test_a_class_without_a_name_has_a_number(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS[:1], epochs=2)
  for path in folder.glob('bundles/*/card.json'):
    card = json.loads(path.read_text())
    card['dataset']['class_names'] = None
    path.write_text(json.dumps(card))
  figure, _ = overview.draw(read(folder), None)
  assert 'class 4' in texts(figure)


def test_a_text_is_cut_to_a_width(tmp_path):
  figure, _ = overview.draw(read(folders.run(tmp_path / 'run', LABELS[:1], epochs=2)), None)
  text = figure.text(0, 0, 'European fire salamander', fontsize=10)
  canvas.shorten(text, 0.9)
  assert text.get_window_extent().width <= 0.9 * figure.dpi
  assert text.get_text().startswith('European') and text.get_text().endswith('…')
  canvas.shorten(text, 9)
  assert text.get_text().endswith('…')


@pytest.mark.parametrize(
  ('name', 'change', 'reason'),
  [
    ('image', lambda kept: kept[0], 'no pictures'),
    ('image', lambda kept: kept.astype(float), 'no pictures'),
    ('label', lambda kept: kept[:2], 'different lengths'),
    ('position', lambda kept: kept - 0.5, 'no row of whole numbers'),
  ],
)
def test_damaged_images_are_named(tmp_path, name, change, reason):
  folder = folders.run(tmp_path / 'run', LABELS[:1], epochs=2)
  path = folder / 'outputs' / 'examples.npz'
  arrays = dict(np.load(path))
  np.savez(path, **arrays | {name: change(arrays[name])})
  with pytest.raises(UserError, match=rf'examples\.npz.* is damaged: .*{reason}'):
    overview.draw(read(folder), None)


def test_a_damaged_bundle_is_named(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, epochs=2)
  (folder / 'bundles' / 'pidkd-0' / 'variables.npz').write_text('PK')
  with pytest.raises(UserError, match=r'variables\.npz.* is damaged'):
    overview.draw(read(folder), None)
