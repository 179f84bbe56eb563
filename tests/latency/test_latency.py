"""Latency: the order of the calls, the measurements, the command."""

import csv
import dataclasses
import hashlib
import json
import pathlib
import types

import numpy as np
import pytest

from pidkd_jax.bundles import bundle
from pidkd_jax.cli.commands import latency
from pidkd_jax.core.errors import UserError
from pidkd_jax.latency import export_folder, figure, table, worker_process
from pidkd_jax.latency.candidate import Candidate, comparable, data_of
from pidkd_jax.latency.measurement import Measurement, measure
from pidkd_jax.latency.preprocessing import preprocessor
from pidkd_jax.report.table import to_markdown


def candidate(file, name, *command, top1=None):
  module = 'tests.latency.fake_worker'
  return Candidate(file, name, (2, 3, 1), top1, (module, name, *command), False)


def test_candidates_answer_in_turn_each_in_a_process_of_its_own(tmp_path):
  log = tmp_path / 'log'
  candidates = [candidate(tmp_path, name, 'logged', str(log)) for name in 'ab']
  found = measure(candidates, 'cpu', [4, 2], rounds=3, seconds=0.0)
  lines = log.read_text().splitlines()
  # Of each size three calls warm up and three are timed before the first round is over.
  warm, calls = 6, 3
  expected = []
  for size in (2, 4):
    of_a, of_b = (f'{name} uint8[{size}, 2, 3, 1]' for name in 'ab')
    expected += [of_a] * (warm + calls) + [of_b] * (warm + calls)
    expected += ([of_a] * calls + [of_b] * calls) * 3
  assert lines == expected
  assert [(one.candidate.name, one.batch_size) for one in found] == [
    ('a', 2),
    ('a', 4),
    ('b', 2),
    ('b', 4),
  ]
  for one in found:
    assert [len(own) for own in one.rounds] == [calls] * 3
    assert all(second > 0 for own in one.rounds for second in own)
    assert 2**22 < one.peak_bytes < 2**30  # Python and numpy.
  assert found[1].peak_bytes >= found[0].peak_bytes


def test_accuracies_of_different_images_do_not_stand_side_by_side(tmp_path):
  figures = {'a': 0.5, 'b': 0.6, 'c': None}
  one, two, none = (candidate(tmp_path, name, top1=top1) for name, top1 in figures.items())
  same = [dataclasses.replace(each, data='x') for each in (one, two)]
  assert comparable([*same, none]) == [*same, none]
  other = dataclasses.replace(two, data='y')
  assert [each.top1 for each in comparable([same[0], other, none])] == [None] * 3
  cards = [{'dataset': {'name': 'd', 'class_names': list(names)}} for names in ('ab', 'ba')]
  assert data_of(cards[0]) != data_of(cards[1])


@pytest.mark.parametrize(
  ('what', 'says'),
  [('refusing', 'it does not like this machine'), ('broken', 'RuntimeError: out of order')],
)
def test_a_candidate_that_fails_is_named(tmp_path, what, says):
  with pytest.raises(UserError) as error:
    # While the first answers, the other fails.
    measure(
      [candidate(tmp_path, 'b', 'slow'), candidate(tmp_path / 'a', 'a', what)], 'cpu', [5], 1, 0.0
    )
  assert str(error.value) == f'{str(tmp_path / "a")!r} cannot be run here: {says}'


def test_a_tpu_serves_one_process_and_is_left_out(monkeypatch):
  monkeypatch.setattr(latency.jax, 'default_backend', lambda: 'tpu')
  monkeypatch.setattr(latency, 'FLAGS', types.SimpleNamespace(platform=[]))
  assert latency._platforms() == ['cpu']
  latency.FLAGS.platform = ['tpu']
  with pytest.raises(UserError, match='platform tpu cannot be measured: .*; leave it out'):
    latency._platforms()


@pytest.mark.parametrize(('platform', 'asked'), [('gpu', 'cuda'), ('cpu', 'cpu')])
def test_a_worker_asks_for_the_one_platform_that_is_there(tmp_path, monkeypatch, platform, asked):
  """JAX takes 'gpu' for all kinds of GPUs, and fails where it lacks one of them."""
  known = {name: types.SimpleNamespace(platform=kind) for name, kind in (('cuda', 'gpu'),)}
  monkeypatch.setattr(worker_process.backend, 'backends', lambda: known)
  with pytest.raises(UserError, match=f'JAX_PLATFORMS={asked}$'):
    measure([candidate(tmp_path, 'a', 'placed')], platform, [1], 1, 0.0)


EXPORT = {
  'label': 'pidkd',
  'model': {'family': 'ResNet'},
  'export': {
    'format': 'onnx_int8',
    'file': 'model.onnx',
    'input': {'shape': [None, 6, 8, 3], 'dtype': 'float32'},
    'verification': {'top1': 0.75},
  },
  'dataset': {'image_shape': [6, 8, 3], 'mean': [0.5, 0.25, 0.0], 'std': [0.5, 0.25, 1.0]},
}


def write_export(folder, card, file='model.onnx'):
  folder.mkdir()
  (folder / file).write_bytes(bytes(100))
  (folder / 'card.json').write_text(json.dumps(card))
  sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
  (folder / 'manifest.json').write_text(json.dumps(sums))
  return folder


def changed(**facts):
  return EXPORT | {'export': EXPORT['export'] | facts}


def test_an_export_is_what_its_card_says(tmp_path):
  folder = write_export(tmp_path / 'export', EXPORT)
  found = export_folder.read(folder)
  assert (found.name, found.top1, found.size) == ('pidkd ResNet onnx_int8', 0.75, 100)
  assert found.image_shape == (6, 8, 3)
  pixels = np.full((1, 6, 8, 3), 51, np.uint8)
  prepared = preprocessor(found.file)(pixels)
  assert prepared.dtype == np.float32
  np.testing.assert_allclose(prepared[0, 0, 0], [-0.6, -0.2, 0.2], rtol=1e-6)
  whole = changed(input={'shape': [None, 6, 8, 3], 'dtype': 'uint8'})
  found = export_folder.read(write_export(tmp_path / 'whole', whole))
  assert np.shares_memory(preprocessor(found.file)(pixels), pixels)


def test_an_export_of_another_layout_gets_its_axes(tmp_path):
  pixels = np.arange(2 * 6 * 8 * 3, dtype=np.uint8).reshape(2, 6, 8, 3)
  for dtype in ('uint8', 'float32'):
    given = {'shape': [None, 3, 6, 8], 'layout': 'nchw', 'dtype': dtype}
    found = export_folder.read(write_export(tmp_path / dtype, changed(input=given)))
    assert found.image_shape == (6, 8, 3)
    prepared = preprocessor(found.file)(pixels)
    assert prepared.shape == (2, 3, 6, 8) and prepared.flags.c_contiguous
    value = pixels[1, 4, 7, 2]
    expected = value if dtype == 'uint8' else value / 255  # Mean 0, deviation 1.
    assert prepared[1, 2, 4, 7] == pytest.approx(expected)


@pytest.mark.parametrize(
  ('card', 'file', 'says'),
  [
    (EXPORT, 'model.bin', "its file is 'model.onnx'"),
    (changed(file='../model.onnx'), 'model.onnx', "its file is '../model.onnx'"),
    (changed(file='model.safetensors'), 'model.safetensors', 'computes nothing by itself'),
    (EXPORT | {'dataset': None}, 'model.onnx', 'is no export'),
    ({'model': {}}, 'model.onnx', "KeyError('export')"),
    ([], 'model.onnx', 'holds no JSON object'),
  ],
)
def test_other_folders_are_refused(tmp_path, card, file, says):
  with pytest.raises(UserError) as error:
    export_folder.read(write_export(tmp_path / 'export', card, file))
  assert says in str(error.value) and '\n' not in str(error.value)


def test_a_program_that_could_do_more_than_compute_is_refused(tmp_path):
  card = changed(format='stablehlo', file='model.stablehlo')
  folder = write_export(tmp_path / 'export', card, 'model.stablehlo')
  with pytest.raises(UserError, match='model.stablehlo is no StableHLO that JAX.*export it anew'):
    export_folder.read(folder)


def test_a_damaged_export_is_refused(tmp_path):
  folder = write_export(tmp_path / 'export', EXPORT)
  (folder / 'model.onnx').write_bytes(bytes(99))
  with pytest.raises(UserError, match='damaged: model.onnx is missing or altered'):
    export_folder.read(folder)


def measurement(name, batch, rounds, top1=0.5):
  return Measurement(
    candidate(pathlib.Path(__file__), name, top1=top1), 'cpu', batch, rounds, 2**21
  )


def test_measurements_by_hand():
  one = measurement('a', 4, ((0.001, 0.002, 0.009), (0.003, 0.004, 0.005)))
  assert one.median == pytest.approx(0.0035)
  assert one.round_range == pytest.approx((0.002, 0.004))
  # Of six sorted values the share 0.95 lies three quarters of the way from the fifth to the sixth.
  assert one.p95 == pytest.approx(0.005 + 0.75 * 0.004)
  row = {column.heading: column.cells[0] for column in table.columns([one])}
  assert (row['network'], row['on'], row['top-1 (%)'], row['images']) == ('a', 'cpu', '50.00', '4')
  assert (row['median (ms)'], row['95% within (ms)']) == ('3.500', '8.000')
  assert row['rounds (ms)'] == '2.000 - 4.000'
  assert (row['images/s'], row['peak memory (MiB)']) == ('1143', '2')


def test_the_figure_has_a_panel_for_each_size_and_only_networks_with_an_accuracy():
  times = ((0.001,),)
  found = [measurement(name, batch, times) for name in 'ab' for batch in (1, 64)]
  found += [measurement('c', batch, times, top1=None) for batch in (1, 64)]
  drawn = figure.draw(found, 'a')
  assert [axes.get_title() for axes in drawn.axes] == [
    '1 image in a call, cpu',
    '64 images in a call, cpu',
  ]
  for axes in drawn.axes:
    assert {text.get_text() for text in axes.texts} == {'a', 'b'}
  assert figure.draw(found[-2:], None) is None
  assert 'nan' not in to_markdown(table.columns(found))


def test_the_figures_bars_reach_from_the_fastest_to_the_slowest_round():
  one = measurement('$a', 4, ((0.001, 0.002, 0.009), (0.003, 0.004, 0.005)))
  [axes] = figure.draw([one], None).axes
  [bars] = [c for c in axes.containers if c.has_xerr]
  [[[low, _], [high, _]]] = bars[2][0].get_segments()
  assert (low, high) == pytest.approx((2.0, 4.0))
  assert [text.get_text() for text in axes.texts] == ['$a']


def test_the_command_measures_a_teacher_beside_its_student(forks, teacher, tmp_path, environment):
  facts = {
    'name': 'toy',
    'class_names': None,
    'image_shape': (8, 8, 3),
    'mean': (0.5,) * 3,
    'std': (0.25,) * 3,
  }
  bundle.save(tmp_path / 'teacher', teacher, {'dataset': facts, 'label': 'teacher'})
  reference = bundle.load(tmp_path / 'teacher').reference()
  card = {'dataset': facts, 'training': {'teacher': reference}, 'results': {'top1': 0.25}}
  bundle.save(tmp_path / 'student', teacher, card)
  out = tmp_path / 'out'
  arguments = (
    f'--bundle={tmp_path / "student"}',
    f'--out={out}',
    '--batch_size=2',
    '--rounds=1',
    '--seconds=0',
    '--cores=1',
    '--platform=cpu',
  )
  done = forks.run('latency', arguments, tmp_path, environment)
  assert done.returncode == 0, done.stderr
  assert 'cores 1;' in (out / 'latency.md').read_text()
  table, _, paths = done.stdout.partition('\n\n')
  files = [str(out / 'latency.md'), 'latency.csv', 'latency.png']
  assert paths.replace(',', '').split() == ['Report:', *files]
  lines = table.splitlines()
  assert lines[1].split() == ['network', 'on', '(%)', '(MB)', 'images', '(ms)', 'images/s']
  assert max(map(len, lines)) <= 80
  with (out / 'latency.csv').open() as file:
    rows = list(csv.DictReader(file))
  assert [row['network'] for row in rows] == ['teacher ResNet', 'ResNet']
  assert [row['top-1 (%)'] for row in rows] == ['', '25']
  assert np.all([float(row['images/s']) > 0 for row in rows])
  assert (out / 'latency.png').read_bytes()[1:4] == b'PNG'
