"""Contrasts: which are asked for, and their table."""

import pytest
from scipy import stats

from pidkd_jax.core.errors import UserError
from pidkd_jax.report import contrasts, paired_differences, run_folder, statistics
from pidkd_jax.report.comparison import compare
from pidkd_jax.report.tables import contrasts as tables
from pidkd_jax.report.tables import overview
from tests.report import folders
from tests.report.test_paired_differences import comparison

KNOWN = {'pidkd', 'simkd', 'kd'}
# {label: {trial: whether each of ten images is right}}.
TOP1 = {
  label: {trial: [1] * right + [0] * (10 - right) for trial, right in enumerate(numbers)}
  for label, numbers in {'simkd': (1, 2, 0), 'pidkd': (8, 7, 9), 'kd': (8, 9, 9)}.items()
}


@pytest.fixture
def found(tmp_path):
  return comparison(tmp_path / 'run', TOP1)


def cells(columns):
  return {column.heading: list(column.cells) for column in columns}


def test_families_are_read():
  asked = contrasts.parse('pidkd:simkd, pidkd:kd; kd : simkd', KNOWN)
  assert asked == ((('pidkd', 'simkd'), ('pidkd', 'kd')), (('kd', 'simkd'),))


@pytest.mark.parametrize('text', ['pidkd', 'pidkd:kd:simkd', 'pidkd:pidkd', 'pidkd:kd,', ':kd'])
def test_what_is_no_contrast_is_named(text):
  with pytest.raises(UserError, match='names no two labels; write pidkd:simkd'):
    contrasts.parse(text, KNOWN)


def test_an_unknown_label_is_named():
  with pytest.raises(UserError, match="'simd'.*simkd"):
    contrasts.parse('pidkd:simd', KNOWN)


def test_only_the_labels_that_are_there_are_contrasted(found):
  families = ((('pidkd', 'simkd'), ('pidkd', 'wide')), (('wide', 'kd'),))
  assert contrasts.present(families, found) == ((('pidkd', 'simkd'),),)
  assert contrasts.to_baseline(found, 'simkd') == ((('kd', 'simkd'), ('pidkd', 'simkd')),)


def test_a_contrast_that_cannot_be_shown_is_named_with_the_reason(tmp_path, found):
  apart = comparison(tmp_path / 'apart', {'pidkd': TOP1['pidkd'], 'simkd': {7: TOP1['simkd'][0]}})
  families = ((('pidkd', 'simkd'), ('pidkd', 'kd')),)
  assert contrasts.present(families, apart) == ()
  assert tables.left_out(apart, families) == (
    'Not shown here: pidkd minus simkd (no trial in common); pidkd minus kd (kd not among these '
    'runs). p (Holm) does not count them.'
  )
  assert tables.left_out(found, families) == ''
  contrasts.require(families, [apart, found])
  contrasts.require((), [apart])
  with pytest.raises(UserError, match='no two labels of pidkd:simkd, pidkd:kd share a trial'):
    contrasts.require(families, [apart])


def test_p_values_have_two_digits_and_no_loose_point():
  assert list(tables._p_values('p', [1.0, 0.5, 0.0123, 1e-5, None]).cells) == [
    *('1.0', '0.5', '0.012', '<0.0001', ''),
  ]


def test_the_table_has_students_t_and_holms_correction(found):
  gains = [[70.0, 50.0, 90.0], [0.0, -20.0, 0.0]]
  tests = [stats.ttest_1samp(row, 0) for row in gains]
  shown = cells(tables.columns(found, ((('pidkd', 'simkd'), ('pidkd', 'kd')),)))
  assert shown['contrast'] == ['pidkd minus simkd', 'pidkd minus kd'] and shown['n'] == ['3', '3']
  assert shown['top-1 (points)'] == ['+70.00 ± 20.00', '-6.67 ± 11.55']
  interval = tests[0].confidence_interval(0.95)
  assert shown['95% by t'][0] == f'[{interval.low:+.2f}, {interval.high:+.2f}]'
  assert [float(p) for p in shown['p']] == pytest.approx([t.pvalue for t in tests], rel=0.05)
  assert float(shown['p (Holm)'][0]) == pytest.approx(2 * tests[0].pvalue, rel=0.05)
  assert shown['p (Holm)'][1] == shown['p'][1]
  apart = cells(tables.columns(found, ((('pidkd', 'simkd'),), (('pidkd', 'kd'),))))
  assert apart['family'] == ['1', '2'] and apart['p (Holm)'] == apart['p']


def test_one_trial_allows_no_test(tmp_path):
  one = {label: {0: trials[0]} for label, trials in TOP1.items()}
  shown = cells(tables.columns(comparison(tmp_path / 'run', one), ((('pidkd', 'simkd'),),)))
  assert shown['n'] == ['1'] and shown['95% by t'] == shown['p'] == shown['p (Holm)'] == ['']


def test_each_comparison_counts_once_in_the_mean(found, tmp_path):
  other = comparison(tmp_path / 'other', {**TOP1, 'pidkd': TOP1['simkd']}, seed=1)
  [pooled, *_] = [cells(tables.pooled([found, other], ((('pidkd', 'simkd'),),))[0])]
  assert pooled['comparisons'] == ['2'] and pooled['mean top-1 (points)'] == ['+35.00 ± 49.50']
  assert tables.pooled([found], ((('pidkd', 'simkd'),),)) == ([], '')


def test_of_comparisons_that_repeat_trials_the_one_with_most_counts(found, tmp_path):
  fewer = {label: {0: trials[0]} for label, trials in TOP1.items()}
  again = comparison(tmp_path / 'again', fewer)
  other = comparison(tmp_path / 'other', {**TOP1, 'pidkd': TOP1['simkd']}, seed=1)
  families = ((('pidkd', 'simkd'),),)
  for repeated in ([again, found], [found, again]):
    assert tables.pooled(repeated, families) == ([], '')
    assert cells(tables.pooled([*repeated, other], families)[0]) == cells(
      tables.pooled([found, other], families)[0]
    )


def test_other_students_under_one_teacher_are_comparisons_of_their_own(tmp_path):
  runs = [
    folders.run(
      tmp_path / student,
      [folders.Label(label, trials=(0, 1), student=student) for label in ('simkd', 'pidkd')],
    )
    for student in ('resnet8', 'vgg8')
  ]
  found, _ = run_folder.find(runs)
  columns, note = tables.pooled(compare(found), ((('pidkd', 'simkd'),),))
  assert cells(columns)['comparisons'] == ['2'] and 'they are not independent' in note


def test_a_choice_of_settings_is_no_second_comparison(tmp_path):
  runs = [
    folders.run(
      tmp_path / f'{weight}-{seed}',
      [folders.Label('simkd'), folders.Label('pidkd', hyperparameters={'weight': weight})],
      seed=seed,
    )
    for weight, seed in ((30.0, 0), (100.0, 0), (100.0, 1))
  ]
  found, _ = run_folder.find(runs)
  families = ((('pidkd', 'simkd'),),)
  first, second, third = compare(found)
  assert tables.pooled([first, second], families) == ([], '')
  columns, note = tables.pooled([first, second, third], families)
  assert cells(columns)['comparisons'] == ['2']
  assert note.endswith('Settings differ between comparisons: those of pidkd.')


def test_the_best_are_those_that_cannot_be_told_apart(found):
  assert found.ranked == ['kd', 'pidkd', 'simkd']
  assert paired_differences.best(found) == {'kd', 'pidkd'}


def test_the_overview_has_a_column_for_each_comparison(found):
  first, second = overview.columns({'one': found})
  assert list(first.cells) == ['teacher', 'simkd', 'pidkd', 'kd'] and second.heading == 'one'
  assert second.bold == {2, 3}


def test_holm_never_lowers_a_p_value():
  assert statistics.holm([0.01, 0.02, 0.9]) == pytest.approx([0.03, 0.04, 0.9])
  assert statistics.holm([0.6, 0.7]) == [1.0, 1.0] and statistics.holm([]) == []
