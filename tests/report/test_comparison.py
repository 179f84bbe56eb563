import json

import pytest

from pidkd_jax.core import card
from pidkd_jax.report import protocol, run_folder
from pidkd_jax.report.comparison import compare
from pidkd_jax.report.tables import settings
from tests.report import folders

A, B = folders.Label('pidkd', trials=(0, 1)), folders.Label('simkd', trials=(0,))


def compared(*paths):
  runs, _ = run_folder.find(paths)
  return [
    {label: list(trials) for label, trials in comparison.labels.items()}
    for comparison in compare(runs)
  ]


def test_parts_of_a_split_cohort_come_together(tmp_path):
  folders.run(tmp_path / 'study' / 'cohort' / 'part-1', [A])
  folders.run(tmp_path / 'study' / 'cohort' / 'part-2', [B])
  assert compared(tmp_path / 'study') == [{'pidkd': [0, 1], 'simkd': [0]}]


@pytest.mark.parametrize(
  'other',
  [{'seed': 1}, {'teacher': 'b' * 64}, {'fingerprint': '0' * 64}, {'epochs': 13}, {'shots': 5}],
)
def test_runs_on_other_batches_are_not_mixed(tmp_path, other):
  folders.run(tmp_path / '1', [A])
  folders.run(tmp_path / '2', [B], **other)
  assert compared(tmp_path) == [{'pidkd': [0, 1]}, {'simkd': [0]}]


def test_cards_without_shots_are_of_all_images(tmp_path):
  folders.run(tmp_path / 'older', [A])
  folders.run(tmp_path / 'newer', [B], shots=0)
  assert compared(tmp_path) == [{'simkd': [0], 'pidkd': [0, 1]}]


def test_the_title_and_the_protocol_name_the_few_images(tmp_path):
  folders.run(tmp_path, [A], shots=5)
  [comparison] = compare(run_folder.find([tmp_path])[0])
  assert comparison.title == 'toy, 5 training images of each class, ResNet-14x2 → ResNet-8'
  data, *_ = protocol.sentences(comparison)
  assert data.endswith('Students saw 5 training images of each class, all rows the same ones.')


@pytest.mark.parametrize(
  'compiled, said', [({'compile_seconds': 41.7}, 'took another 42 s'), ({}, 'included')]
)
def test_the_protocol_tells_compilation_from_training(compiled, said, tmp_path):
  folders.run(tmp_path, [A])
  for path in tmp_path.rglob('card.json'):
    found = json.loads(path.read_text())
    found['training'] |= compiled
    path.write_text(json.dumps(found))
  [comparison] = compare(run_folder.find([tmp_path])[0])
  [time] = [text for text in protocol.sentences(comparison) if text.startswith('Time: ')]
  assert f'trained in 500 s, compilation {said};' in time


def test_the_protocol_counts_the_trials_of_a_label(tmp_path):
  folders.run(tmp_path / '1', [A])
  folders.run(tmp_path / '2', [folders.Label('kd', trials=(2, 3))])
  [comparison] = compare(run_folder.find([tmp_path])[0])
  assert ', 2 trials, ' in protocol.sentences(comparison)[1]


def test_the_same_label_with_other_settings_or_the_same_trial_is_not_mixed(tmp_path):
  folders.run(tmp_path / '1', [A])
  folders.run(tmp_path / '2', [folders.Label('pidkd', trials=(2,), learning_rate=0.1)])
  folders.run(tmp_path / '3', [A, B])
  folders.run(tmp_path / '4', [folders.Label('pidkd', trials=(3,))])
  assert compared(tmp_path) == [
    {'pidkd': [0, 1, 3]},
    {'pidkd': [2]},
    {'pidkd': [0, 1], 'simkd': [0]},
  ]


@pytest.mark.parametrize('order', ['30 100 simkd', 'simkd 30 100', '100 simkd 30'])
def test_a_row_that_was_trained_once_is_compared_with_each_setting(tmp_path, order):
  for weight in (30, 100):
    settings = {'weight': float(weight)}
    folders.run(tmp_path / str(weight), [folders.Label('pidkd', hyperparameters=settings)])
  folders.run(tmp_path / 'simkd', [B])
  comparisons = compared(*(tmp_path / name for name in order.split()))
  assert [sorted(one) for one in comparisons] == [['pidkd', 'simkd']] * 2


def test_a_holdout_picks_among_the_epochs_that_were_evaluated(tmp_path):
  for every in (1, 5):
    for holdout in (0.0, 0.1):
      folder = tmp_path / str(holdout) / str(every)
      folders.run(folder, [folders.Label('pidkd', trials=(every,))])
      changed = {'eval_every': every, 'holdout': holdout}
      folders.change(
        folder, f'pidkd-{every}', lambda card, own=changed: card['training'].update(own)
      )
  assert compared(tmp_path / '0.0') == [{'pidkd': [1, 5]}]
  first, second = compare(run_folder.find([tmp_path / '0.1'])[0])
  assert ' evaluated every 5 epochs)' in ' '.join(protocol.sentences(second))
  assert ' evaluated every epoch)' in ' '.join(protocol.sentences(first))


def test_equal_trials_in_another_order_are_a_tie(tmp_path):
  labels = [folders.Label('a', trials=(0, 1, 2)), folders.Label('b', trials=(0, 1, 2))]
  folder = folders.run(tmp_path, labels)
  for label, numbers in (('a', (0.3, 0.2, 0.1)), ('b', (0.1, 0.2, 0.3))):
    for trial, top1 in enumerate(numbers):
      folders.change(
        folder, f'{label}-{trial}', lambda card, top1=top1: card['results'].update(top1=top1)
      )
  [comparison] = compare(run_folder.find([tmp_path])[0])
  assert comparison.ranked == ['a', 'b']


def test_older_cards_call_the_optimizers_settings_numbers(tmp_path):
  folders.run(tmp_path / 'old', [folders.Label('pidkd', trials=(0,))])
  new = folders.run(tmp_path / 'new', [folders.Label('pidkd', trials=(1,))])
  path = new / 'bundles' / 'pidkd-1' / 'card.json'
  member = json.loads(path.read_text())['training']['member']
  assert card.optimizer_hparams(member) == {'learning_rate': 0.05, 'weight_decay': 0.0005}

  def rename(entries):
    member = entries['training']['member']
    member['optimizer'] = member.pop('numbers')

  folders.change(new, 'pidkd-1', rename)
  assert card.optimizer_hparams(json.loads(path.read_text())['training']['member']) == {
    'learning_rate': 0.05,
    'weight_decay': 0.0005,
  }
  runs, _ = run_folder.find([tmp_path])
  [comparison] = compare(runs)  # Equal settings under both names are one label's trials.
  cells = {column.heading: column.cells for column in settings.columns(comparison)}
  assert (cells['learning rate'], cells['weight decay']) == (['0.05'], ['0.0005'])


def test_runs_of_another_crop_are_another_comparison(tmp_path):
  def cropped(card):
    card['training'] |= {'crop': 'resized', 'crop_scale': [0.2, 1.0], 'crop_aspect': [0.75, 1.5]}

  def padded(card):
    card['training'] |= {'crop': 'pad', 'crop_scale': [0.5, 1.0], 'crop_aspect': [0.75, 1.5]}

  older, newer, other = (folders.run(tmp_path / name, [A]) for name in ('one', 'two', 'three'))
  for name in 'pidkd-0', 'pidkd-1':
    folders.change(newer, name, padded)
    folders.change(other, name, cropped)
  keys = [run_folder.read(folder).pairing_key for folder in (older, newer, other)]
  assert keys[0] == keys[1] != keys[2]
  [sentence] = [
    line
    for line in protocol.sentences(*compare([run_folder.read(other)]))
    if line.startswith('Students:')
  ]
  assert 'crops of 20% to 100% of the area, resized' in sentence
