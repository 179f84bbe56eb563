import dataclasses
import json
import shutil

import numpy as np
import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import protocol, run_folder
from pidkd_jax.report.comparison import Comparison, compare
from pidkd_jax.training.recipe import Recipe
from tests.report import folders

A, B = folders.Label('pidkd', trials=(0, 1)), folders.Label('simkd', trials=(0,))


def labels(comparison):
  return {label: list(trials) for label, trials in comparison.labels.items()}


def compared(*paths):
  found, _ = run_folder.find(paths)
  return [labels(comparison) for comparison in compare(found)]


def test_a_run_is_read_in_the_order_of_its_members(tmp_path):
  run = run_folder.read(folders.run(tmp_path / 'run', [B, A]))
  assert [trial.name for trial in run.trials] == ['simkd-0', 'pidkd-0', 'pidkd-1']
  assert run.teacher.network == 'resnet14x2'
  outputs = run.trials[0].outputs
  assert np.mean(outputs.correct) == run.trials[0].value('results', 'top1')
  assert np.issubdtype(outputs.label.dtype, np.signedinteger)


def test_missing_entries_of_older_runs_are_none(tmp_path):
  folder = folders.run(tmp_path / 'run', [A], outputs=False, teacher_card=False)
  folders.change(folder, 'pidkd-0', lambda card: card.pop('network'))
  run = run_folder.read(folder)
  assert run.teacher is None and run.trials[0].outputs is None
  assert run.trials[0].value('cost', 'training_bytes') is None
  assert run.trials[0].network == 'resnet8'


def test_parts_are_in_the_order_of_their_numbers(tmp_path):
  for number in (10, 2, 1):
    folders.run(tmp_path / f'part-{number}', [folders.Label(f'kd{number}')])
  [found] = compared(tmp_path)
  assert list(found) == ['kd1', 'kd2', 'kd10']


def test_a_run_that_is_named_twice_is_read_once(tmp_path):
  folder = folders.run(tmp_path / 'study' / 'run', [A])
  assert compared(tmp_path / 'study', folder, folder) == [{'pidkd': [0, 1]}]


def test_runs_behind_links_are_found_once(tmp_path):
  run = folders.run(tmp_path / 'disk' / 'run', [A])
  links = tmp_path / 'links'
  links.mkdir()
  (links / 'one').symlink_to(run)
  (links / 'back').symlink_to(links)
  assert compared(links) == [{'pidkd': [0, 1]}] == compared(links, run)


def test_a_recipe_of_an_older_version_is_that_of_this_one_at_its_defaults(tmp_path):
  older, newer, other = (folders.run(tmp_path / name, [A]) for name in ('one', 'two', 'three'))

  def recipe(**changes):
    def change(card):
      card['training']['recipe'] = dataclasses.asdict(Recipe(**folders.RECIPE)) | changes

    return change

  for number in range(2):
    folders.change(newer, f'pidkd-{number}', recipe())
    folders.change(other, f'pidkd-{number}', recipe(schedule='cosine', clip_norm=2.0))
  runs = [run_folder.read(folder) for folder in (older, newer, other)]
  assert runs[0].pairing_key == runs[1].pairing_key != runs[2].pairing_key
  before, now, cosine = (protocol.sentences(Comparison((run,))) for run in runs)
  assert before == now and not any('Further' in sentence for sentence in now)
  assert 'learning rate by the schedule cosine, ' in cosine[1]
  assert cosine[2] == 'Further settings of the recipe: clip_norm 2.0.'


def test_teachers_and_partly_written_bundles_are_passed_over(tmp_path):
  folder = folders.run(tmp_path / 'run', [A])
  shutil.copytree(folder / 'bundles' / 'pidkd-0', folder / 'bundles' / '.pidkd-0.partial')
  kept = folders.run(tmp_path / 'teachers' / 'one', [folders.Label('teacher', trials=(-1,))])
  assert compared(tmp_path) == [{'pidkd': [0, 1]}]
  with pytest.raises(UserError, match='holds no finished run of students'):
    run_folder.find([kept])


def test_unfinished_runs_are_returned_apart(tmp_path):
  folders.run(tmp_path / 'done', [A])
  shutil.rmtree(folders.run(tmp_path / 'begun', [B]) / 'bundles')
  found, unfinished = run_folder.find([tmp_path])
  assert len(found) == 1
  assert [path.name for path in unfinished] == ['begun']


def test_a_run_without_the_bundles_of_all_members_is_not_finished(tmp_path):
  folder = folders.run(tmp_path / 'run', [A, B])
  shutil.rmtree(folder / 'bundles' / 'pidkd-1')
  with pytest.raises(UserError, match='holds no finished run of students: .* all of its members'):
    run_folder.find([folder])
  with pytest.raises(UserError, match='holds no finished run of students'):
    run_folder.read_whole(folder)
  # A member that diverged has none, and members that were added are counted in their own part.
  (folder / 'diverged.json').write_text('{"pidkd-1": 30}')
  folders.run(folder / 'part-2', [folders.Label('kd')])
  assert compared(folder) == [{'simkd': [0], 'pidkd': [0], 'kd': [0, 1]}]


def test_a_part_of_which_every_member_diverged_is_named_and_not_unfinished(tmp_path):
  folders.run(tmp_path / 'run' / 'part-1', [A])
  lost = folders.run(tmp_path / 'run' / 'part-2', [B])
  shutil.rmtree(lost / 'bundles')
  (lost / 'diverged.json').write_text('{"simkd-0": 30}')
  for members, diverged, unfinished in (
    (['simkd-0'], {'simkd-0': 30}, []),
    # Another member of the part is still to be trained.
    (['simkd-0', 'simkd-1'], {}, [lost]),
  ):
    parts = {'parts': [['pidkd-0', 'pidkd-1'], members]}
    (tmp_path / 'run' / 'parts.json').write_text(json.dumps(parts))
    found, left = run_folder.find([tmp_path])
    whole = run_folder.read_whole(tmp_path / 'run')
    assert [run.diverged for run in found] == [run.diverged for run in whole] == [diverged]
    assert left == unfinished


def test_a_first_part_that_is_lost_in_the_run_s_own_folder_is_named(tmp_path):
  home = folders.run(tmp_path / 'run', [B])
  shutil.rmtree(home / 'bundles')
  (home / 'diverged.json').write_text('{"simkd-0": 30}')
  parts = {'parts': [['simkd-0']], 'added': [['pidkd-0', 'pidkd-1']]}
  (home / 'parts.json').write_text(json.dumps(parts))
  other = folders.run(tmp_path / 'other', [A])
  # Nothing of the run is there yet, so it is unfinished.
  assert [len(one) for one in run_folder.find([tmp_path])] == [1, 1]
  folders.run(home / 'part-2', [A])
  found, left = run_folder.find([tmp_path])
  assert {run.folder.name: run.diverged for run in found} == {
    'part-2': {'simkd-0': 30},
    other.name: {},
  }
  assert left == []


def test_only_a_part_has_files_in_the_folder_above(tmp_path):
  folder = folders.run(tmp_path / 'run', [A])
  (folder / 'probe.json').write_text('{"digits": {"pidkd-0": 0.5}}')
  part, other = (
    run_folder.read(folders.run(folder / name, [A], outputs=False, teacher_card=False))
    for name in ('part-2', 'longer')
  )
  assert part.teacher and part.examples
  assert part.trials[0].value('results', 'probe') == {'digits': 0.5}
  assert other.teacher is None and other.examples is None
  assert other.trials[0].value('results', 'probe') is None


def test_the_runs_below_a_run_are_not_its_own(tmp_path):
  folder = folders.run(tmp_path / 'run', [A])
  folders.run(folder / 'lr10²', [A], epochs=40)  # A raised 2 is a digit, and no decimal.
  for number in (10, 2):
    folders.run(folder / f'part-{number}', [folders.Label(f'kd{number}')])
  whole = run_folder.read_whole(folder)
  assert [run.folder.name for run in whole] == ['run', 'part-2', 'part-10']
  assert len(run_folder.find([folder])[0]) == 4


def test_only_a_run_has_folders_that_are_not_searched(tmp_path):
  folder = folders.run(tmp_path / 'outputs' / 'checkpoints', [A])
  folders.run(folder / 'checkpoints' / 'copy', [A], epochs=3)
  assert compared(tmp_path) == [{'pidkd': [0, 1]}]


def test_a_missing_or_empty_folder_is_refused(tmp_path):
  with pytest.raises(UserError, match="run '.*nowhere' is no folder"):
    run_folder.find([tmp_path / 'nowhere'])
  with pytest.raises(UserError, match='holds no finished run'):
    run_folder.find([tmp_path])


@pytest.mark.parametrize('text', ['{', '[]', json.dumps({'label': 'x'})])
def test_a_damaged_card_is_named(tmp_path, text):
  path = folders.run(tmp_path / 'run', [A]) / 'bundles' / 'pidkd-0' / 'card.json'
  path.write_text(text)
  with pytest.raises(UserError, match=r'card\.json'):
    run_folder.find([tmp_path])


def test_damaged_outputs_are_named(tmp_path):
  path = folders.run(tmp_path / 'run', [A]) / 'outputs' / 'pidkd-0.npz'
  path.write_bytes(path.read_bytes()[:100])
  run = run_folder.read(tmp_path / 'run')
  with pytest.raises(UserError, match=r'pidkd-0\.npz.* is damaged'):
    _ = run.trials[0].outputs


def test_the_size_comes_from_settings_or_from_the_network(tmp_path):
  label = folders.Label('a', trials=(0,), size=(3, 2), hyperparameters={'num_projectors': 4})
  run = run_folder.read(folders.run(tmp_path / 'run', [label, folders.Label('b', trials=(0,))]))
  assert [trial.projector_size for trial in run.trials] == [(4, 2), None]


def test_fields_of_the_users_own_classes_may_mean_anything(tmp_path):
  own = folders.Label(
    'own',
    trials=(0,),
    method='theirs:Method',
    hyperparameters={'factor': 0.25, 'num_projectors': 2},
  )
  [trial] = run_folder.read(folders.run(tmp_path / 'own', [own])).trials
  assert trial.projector_size is None
  ours = dataclasses.replace(own, method='pidkd')
  with pytest.raises(UserError, match='factor is 0.25 and not a whole number from 1 up'):
    run_folder.read(folders.run(tmp_path / 'ours', [ours]))
