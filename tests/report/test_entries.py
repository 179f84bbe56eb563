"""Damaged values in a run's files end in one line, whatever their type."""

import copy
import json
import math

import numpy as np
import pytest

from pidkd_jax import report
from pidkd_jax.core.errors import UserError
from pidkd_jax.report import parts, protocol, run_folder
from pidkd_jax.report.comparison import Comparison
from pidkd_jax.report.tables import accuracy, cost, settings, trials
from tests.report import folders

MISSING = object()
ONE = folders.Label('pidkd', trials=(0,), size=(3, 2), aligned=True)


@pytest.fixture
def folder(tmp_path):
  return folders.run(tmp_path / 'run', [ONE], epochs=2)


def put(card, name, value):
  *keys, last = name.split('.')
  for key in keys:
    card = card[key]
  if value is MISSING:
    del card[last]
  else:
    card[last] = value


@pytest.mark.parametrize(
  ('name', 'value', 'meaning'),
  [
    ('results.top1', 9.0, 'a number from 0 to 1'),
    ('results.top1', math.nan, 'a number from 0 to 1'),
    ('results.top1', '0.5', 'a number from 0 to 1'),
    ('results.top1', True, 'a number from 0 to 1'),
    ('results.agreement', -0.1, 'a number from 0 to 1'),
    ('results.best_on_test.top1', 1.01, 'a number from 0 to 1'),
    ('results.cross_entropy', -1.0, 'a number from 0 up'),
    ('cost.parameters', '5', 'a whole number from 1 up'),
    ('training.seconds', [3], 'a number from 0 up'),
    ('training.recipe.drops', ['x'], 'a list of numbers'),
    ('training.member.numbers.learning_rate', 'fast', 'a number'),
    ('dataset.class_names', [1, 2], 'a list of texts'),
    ('label', 7, 'a text'),
  ],
)
def test_a_value_out_of_its_type_or_range_is_named(folder, name, value, meaning):
  folders.change(folder, 'pidkd-0', lambda card: put(card, name, value))
  with pytest.raises(UserError) as caught:
    report.run(folder)
  [line] = str(caught.value).splitlines()
  assert f'{name} is {value!r} and not {meaning}' in line and 'pidkd-0/card.json' in line


def test_a_teachers_values_are_checked_too(folder):
  card = json.loads((folder / 'teacher.json').read_text())
  card['results']['top1'] = 9.0
  (folder / 'teacher.json').write_text(json.dumps(card))
  with pytest.raises(UserError, match=r'teacher\.json.* results\.top1 is 9\.0'):
    report.run(folder)


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('test_top1', 9.0),
    ('test_top1', None),
    ('test_top1', '0.5'),
    ('train_loss', 'high'),
    ('train_loss', None),
    ('epoch', '3'),
    ('epoch', 1.5),
    ('epoch', None),
  ],
)
def test_a_damaged_row_of_metrics_is_named_by_its_line(folder, name, value):
  path = folder / 'metrics.jsonl'
  rows = [json.loads(line) for line in path.read_text().splitlines()]
  rows[1][name] = value
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  with pytest.raises(UserError, match=rf'metrics\.jsonl.* at line 2: {name} is '):
    report.run(folder)


def test_a_step_without_end_is_damage(folder):
  path = folder / 'metrics.jsonl'
  path.write_text(path.read_text().replace('"step": 10', '"step": Infinity'))
  with pytest.raises(UserError, match=r'metrics\.jsonl.* is damaged at line 1'):
    report.run(folder)


@pytest.mark.parametrize(
  ('changes', 'says'),
  [
    ({'crop': 'resized'}, "lacks 'training.crop_scale'"),
    ({'crop': 'resized', 'crop_scale': [0.1, 1.0]}, "lacks 'training.crop_aspect'"),
    (
      {'crop': 'resized', 'crop_scale': [0.1], 'crop_aspect': [1, 1]},
      r'training.crop_scale is \[0.1\] and not a list of two numbers',
    ),
    ({'unlabelled': {}}, "lacks 'training.unlabelled.images'"),
    ({'unlabelled': {'images': None}}, 'training.unlabelled.images is null'),
  ],
)
def test_crops_and_unlabelled_images_are_told_whole(folder, changes, says):
  folders.change(folder, 'pidkd-0', lambda card: card['training'].update(changes))
  with pytest.raises(UserError, match=rf'pidkd-0/card\.json.* {says}'):
    report.run(folder)


def test_an_array_of_no_module_is_damage(folder):
  path = folder / 'bundles' / 'pidkd-0' / 'variables.npz'
  np.savez(path, kernel=np.zeros(3))
  with pytest.raises(UserError, match=r"variables\.npz' is damaged: its array 'kernel' is of no"):
    parts.parameters(run_folder.read(folder).trials[0])


@pytest.mark.parametrize('value', [5, {'pidkd-0': 9.0}, {'pidkd-0': 'x'}])
def test_damaged_probes_are_named(folder, value):
  (folder / 'probe.json').write_text(json.dumps({'digits': value}))
  with pytest.raises(UserError, match=r'probe\.json.* is damaged: digits'):
    report.run(folder)


@pytest.mark.parametrize(
  ('name', 'change', 'reason'),
  [
    ('predicted', lambda kept: kept[:-1], 'different lengths'),
    ('label', lambda kept: kept + 90, 'a class that the card does not have'),
    ('confidence', lambda kept: kept + 9, 'out of the range'),
    ('confidence', lambda kept: kept * np.nan, 'no finite numbers'),
    ('pooled', lambda kept: kept[0], 'no table'),
    ('probabilities', lambda kept: kept[0], 'no table'),
    ('probabilities', lambda kept: kept - 9, 'out of the range'),
    ('probabilities', lambda kept: kept[:, 1:], 'another number of classes'),
    ('label', lambda kept: kept.astype('U3'), 'no row of whole numbers'),
  ],
)
def test_damaged_outputs_are_named(folder, name, change, reason):
  path = folder / 'outputs' / 'pidkd-0.npz'
  arrays = dict(np.load(path))
  arrays[name] = change(arrays[name])
  np.savez(path, **arrays)
  with pytest.raises(UserError, match=rf'pidkd-0\.npz.* is damaged: .*{reason}'):
    report.run(folder)


def leaves(entries, prefix=''):
  """Every entry of a card by its dotted keys, objects included."""
  for key, value in entries.items():
    yield f'{prefix}{key}'
    if isinstance(value, dict):
      yield from leaves(value, f'{prefix}{key}.')


@pytest.mark.parametrize('name', ['bundles/pidkd-0/card.json', 'teacher.json'])
@pytest.mark.parametrize(
  'value', [MISSING, None, 'x', -1, 9.5, [], {}, [1], {'a': 1}, 10**400, math.inf]
)
def test_any_value_in_any_entry_ends_in_tables_or_in_one_line(tmp_path, name, value):
  folder = folders.run(tmp_path / 'run', [ONE], outputs=False, epochs=1)
  path = folder / name
  whole = json.loads(path.read_text())
  if name == 'teacher.json':  # As of an imported checkpoint.
    whole['training'] = {'seed': 3, 'member': {'student': 'resnet14'}}
  refused = 0
  for entry in leaves(whole):
    card = copy.deepcopy(whole)
    put(card, entry, value)
    path.write_text(json.dumps(card))
    try:
      comparison = Comparison((run_folder.read(folder),))
      for columns in (accuracy.columns, accuracy.columns_with_time):
        columns(comparison, None)
      for table in (cost, settings, trials):
        table.columns(comparison)
      assert protocol.sentences(comparison) and comparison.title
    except UserError as error:
      assert len(str(error).splitlines()) == 1
      refused += 1
  assert refused >= 4
