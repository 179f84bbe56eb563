"""Full reports, from synthetic folders."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pidkd_jax import report
from pidkd_jax.core.errors import UserError
from tests.report import folders

ROOT = pathlib.Path(__file__).resolve().parents[2]
LABELS = [
  folders.Label('pidkd', 0.7, aligned=True, size=(3, 2), parameters=200_000),
  folders.Label('simkd', 0.65, aligned=True, size=(1, 2), parameters=120_000),
  folders.Label('scratch', 0.5),
]


@pytest.fixture(scope='module')
def cohort(tmp_path_factory):
  """A cohort of three labels, split in two, with every optional entry of a card."""
  home = tmp_path_factory.mktemp('study')
  folders.run(home / 'cohort' / 'part-1', LABELS[:2])
  second = folders.run(home / 'cohort' / 'part-2', LABELS[2:])

  def more(card):
    card['cost']['training_bytes'] = 3 * 2**20
    card['results']['probe'] = {'digits': 0.25}

  folders.change(second, 'scratch-0', more)
  return home


@pytest.fixture(scope='module')
def out(cohort):
  report.study([cohort], cohort / 'out')
  return cohort / 'out'


def rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def table(text, heading):
  """Return the cells of the first table below a heading."""
  below = text.partition(heading)[2].strip().splitlines()
  return [[cell.strip() for cell in line.split('|')[1:-1]] for line in below if line[:1] == '|']


def test_a_study_leaves_tables_and_figures_with_captions(out):
  names = {path.name for path in out.iterdir()}
  assert names == {
    'report.md',
    'trials.csv',
    *(
      f'{name}.{kind}'
      for name in ('main', 'contrasts', 'cost', 'settings')
      for kind in ('csv', 'tex')
    ),
    *(f'{name}.png' for name in ('overview', 'summary', 'curves')),
    *(f'{name}.png' for name in ('size', 'agreement', 'calibration', 'features')),
  }
  text = (out / 'report.md').read_text()
  for name in (name for name in names if name.endswith('.png')):
    _, _, caption = text.partition(f']({name})\n\n*')
    assert 'share teacher, data order' in caption.partition('\n')[0], name
    assert (out / name).read_bytes().startswith(b'\x89PNG')
  for fact in ('toy (made up)', 'batch 64', 'seed 0', '2 trials', 'jax 0.10.2', '--out'):
    assert fact in text


def test_the_main_table_has_the_cards_numbers(out, cohort):
  found = {row['label']: row for row in rows(out / 'main.csv')}
  assert list(found) == ['teacher', 'pidkd', 'simkd', 'scratch']
  tops = [
    json.loads(path.read_text())['results']['top1']
    for path in sorted((cohort / 'cohort').glob('*/bundles/pidkd-*/card.json'))
  ]
  assert float(found['pidkd']['top-1 (%)']) == pytest.approx(50 * sum(tops))
  assert found['pidkd']['trials'] == '2' and found['teacher']['trials'] == ''
  assert float(found['pidkd']['parameters (M)']) == 0.2
  gain = float(found['pidkd']['top-1 minus simkd (points)'])
  assert float(found['pidkd']['95% from']) < gain < float(found['pidkd']['95% to'])
  assert found['simkd']['95% from'] == found['teacher']['95% from'] == ''
  assert found['scratch']['alignment error'] == '' != found['pidkd']['alignment error']
  assert (
    float(found['scratch']['probe on digits (%)']),
    found['pidkd']['probe on digits (%)'],
  ) == (
    25.0,
    '',
  )
  heading, *_ = table((out / 'report.md').read_text(), '### Accuracy')
  assert 'optimistic' in heading[-1]


def test_the_teachers_time_is_shared_by_its_own_cohort(out):
  found = {row['label']: row for row in rows(out / 'cost.csv')}
  name = "share of the teacher's passes (s)"
  # 60 s over the four members of the first part, and over the two of the second.
  assert (float(found['pidkd'][name]), float(found['scratch'][name])) == (15, 30)
  assert float(found['scratch']['training memory (MiB)']) == 3
  assert 'as XLA plans it' in (out / 'report.md').read_text()


def test_two_reports_are_the_same(cohort, out, tmp_path):
  report.study([cohort / 'cohort'], tmp_path)
  for path in out.iterdir():
    if path.name != 'report.md':  # Its command differs.
      assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.usefixtures('undrawn')
def test_runs_of_other_batches_get_sections_of_their_own(cohort, tmp_path):
  folders.run(tmp_path / 'other', LABELS[:1], seed=3, epochs=2)
  text = report.study([cohort, tmp_path / 'other'], tmp_path / 'out')
  assert text.count('### Accuracy') == 2
  first, second = tmp_path / 'out' / '1-resnet14x2-resnet8-12epochs', '2-resnet14x2-resnet8-2epochs'
  assert (first / 'main.csv').exists() and (tmp_path / 'out' / second / 'size.png').exists()
  assert f']({second}/curves.png)' in text
  overview = rows(tmp_path / 'out' / 'overview.csv')
  whole, lone = [heading for heading in overview[0] if heading.endswith(('n = 2', 'seed 3'))]
  main = {row['label']: row['top-1 (%)'] for row in rows(first / 'main.csv')}
  for row in overview:
    assert row[whole] == main[row['top-1 (%)']]
  assert [bool(row[lone]) for row in overview].count(True) == 2  # The teacher and one label.


@pytest.mark.usefixtures('without_figures')
def test_a_section_without_the_baseline_says_so(cohort, tmp_path):
  folders.run(tmp_path / 'other', LABELS[:1], seed=3)
  text = report.study([cohort, tmp_path / 'other'], tmp_path / 'out', baseline='scratch')
  assert text.count('There is no scratch here to compare with.') == 1
  assert 'top-1 minus scratch' in text


@pytest.mark.usefixtures('without_figures')
def test_a_section_names_the_contrasts_that_it_cannot_show(cohort, tmp_path):
  folders.run(tmp_path / 'other', LABELS[:1], seed=3)
  asked = 'pidkd:simkd,pidkd:scratch'
  text = report.study([cohort, tmp_path / 'other'], tmp_path / 'out', asked=asked)
  assert text.count('Not shown here: pidkd minus simkd (simkd not among these runs); pidkd') == 1
  with pytest.raises(UserError, match='no two labels of pidkd:kd share a trial'):
    folders.run(tmp_path / 'kd', [folders.Label('kd')], teacher='b' * 64)
    report.study([tmp_path / 'other', tmp_path / 'kd'], tmp_path / 'none', asked='pidkd:kd')
  assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('name', ['examples', 'origin', 'variables'])
def test_damage_is_found_before_anything_is_written(tmp_path, name):
  folder = folders.run(tmp_path / 'run', LABELS[:1])
  (folder / 'origin.json').write_text((folder / 'teacher.json').read_text())
  place = folder / 'bundles' / 'pidkd-0' if name == 'variables' else folder / 'outputs'
  (place / f'{name}.npz').write_text('PK')
  with pytest.raises(UserError, match=rf'{name}\.npz.* is damaged'):
    report.study([folder], tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


@pytest.mark.usefixtures('without_figures')
def test_a_heading_shows_a_width_as_it_is(tmp_path):
  folder = folders.run(tmp_path / 'run', [folders.Label('kd', student='resnet8*0.5')])
  assert 'ResNet-8\\*0.5, 12 epochs' in report.study([folder], tmp_path / 'out')


@pytest.mark.usefixtures('undrawn')
def test_a_grid_has_its_choice_and_its_map(tmp_path):
  labels = [
    folders.Label(f'q{q}f{f}', 0.6 + q / 50, method='pidkd', size=(q, f), parameters=9000 * q // f)
    for q in (1, 2)
    for f in (1, 2)
  ]
  text = report.study([folders.run(tmp_path / 'run', labels)], tmp_path / 'out')
  assert 'Chosen, as the smallest within one standard error of the best' in text
  assert (tmp_path / 'out' / 'grid.png').exists()
  assert len(rows(tmp_path / 'out' / 'sizes.csv')) == 4


@pytest.mark.usefixtures('without_figures')
def test_published_results_have_their_own_column(cohort, tmp_path):
  path = tmp_path / 'published.csv'
  path.write_text('label,value,source\nsimkd,78.08,SimKD table 2\n')
  text = report.study([cohort], tmp_path / 'out', published=path)
  heading, _, *lines = table(text, '### Accuracy')
  assert heading[-1].startswith('published elsewhere')
  assert [line[-1] for line in lines[:4]] == ['', '', '78.08 [1]', '']
  folders.run(tmp_path / 'other', LABELS, seed=3)
  with pytest.raises(UserError, match='is for one comparison and the runs make 2'):
    report.study([cohort, tmp_path / 'other'], tmp_path / 'out', published=path)


@pytest.mark.usefixtures('undrawn')
def test_an_early_run_is_reported_without_what_it_lacks(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS, outputs=False, teacher_card=False)
  text = report.study([folder], tmp_path / 'out')
  assert 'does not keep the teacher' in text and 'kept no outputs' in text
  names = {path.name for path in (tmp_path / 'out').iterdir()}
  assert 'calibration.png' in names and 'features.png' not in names
  assert 'memory' not in text and 'probe' not in text


def test_a_locale_without_arrows_and_accents_alters_no_file(tmp_path):
  folders.run(tmp_path / 'run', [folders.Label('é'), folders.Label('simkd')])
  code = (
    'import pathlib, sys\n'
    'from pidkd_jax.report import study_report\n'
    'study_report.FIGURES.clear()\n'
    'study_report.study([pathlib.Path(sys.argv[1])], pathlib.Path(sys.argv[2]))\n'
  )
  plain = os.environ | {'LC_ALL': 'C', 'PYTHONCOERCECLOCALE': '0', 'PYTHONUTF8': '0'}
  command = [sys.executable, '-X', 'utf8=0', '-c', code, tmp_path / 'run', tmp_path / 'out']
  subprocess.run(command, env=plain, check=True, timeout=120, cwd=ROOT)
  assert '→' in (tmp_path / 'out' / 'report.md').read_text('utf-8')
  assert 'é' in (tmp_path / 'out' / 'main.csv').read_text('utf-8')


@pytest.mark.usefixtures('without_figures')
def test_nothing_of_an_earlier_report_is_left(tmp_path):
  one, two = (folders.run(tmp_path / name, LABELS, seed=int(name)) for name in '12')
  out = tmp_path / 'out'
  report.study([one, two], out, asked='pidkd:simkd')
  assert (out / 'pooled.csv').exists() and len(list(out.glob('[12]-*'))) == 2
  (out / 'notes.csv').write_text('mine')
  report.study([one], out, asked='pidkd:simkd')
  assert {path.name for path in out.iterdir()} == {
    *('report.md', 'trials.csv', 'notes.csv'),
    *(f'{n}.{kind}' for n in ('main', 'contrasts', 'cost', 'settings') for kind in ('csv', 'tex')),
    *(f'sizes.{kind}' for kind in ('csv', 'tex') if (out / f'sizes.{kind}').exists()),
  }


@pytest.mark.usefixtures('without_figures')
@pytest.mark.parametrize('name', ['report.md', 'main.csv', 'size.png'])
def test_files_of_no_report_are_kept(tmp_path, name):
  run, out = folders.run(tmp_path / 'run', LABELS), tmp_path / 'out'
  out.mkdir()
  (out / name).write_text('mine')
  with pytest.raises(UserError, match=f"out' has '{name}', which is of no report; name another"):
    report.study([run], out)
  assert [path.read_text() for path in out.iterdir()] == ['mine']


@pytest.mark.usefixtures('without_figures')
def test_a_report_that_fails_leaves_the_earlier_one(tmp_path):
  run, out = folders.run(tmp_path / 'run', LABELS), tmp_path / 'out'
  report.study([run], out)
  before = {path.name: path.read_bytes() for path in out.iterdir()}
  file = next(path for path in (run / 'outputs').glob('pidkd-*.npz'))
  with np.load(file) as arrays:
    half = {key: value[: len(value) // 2] for key, value in arrays.items()}
  np.savez(file, **half)
  with pytest.raises(UserError, match='are of other images than those of'):
    report.study([run], out)
  assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.usefixtures('undrawn')
def test_a_run_without_a_teacher_is_reported(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS[2:], teacher=None)
  assert 'Teacher: none.' in report.study([folder], tmp_path / 'out')


@pytest.mark.usefixtures('without_figures')
def test_unfinished_runs_are_named(tmp_path):
  folders.run(tmp_path / 'runs' / 'done', LABELS)
  shutil.rmtree(folders.run(tmp_path / 'runs' / 'begun', LABELS) / 'bundles')
  assert 'begun' in report.study([tmp_path / 'runs'], tmp_path / 'out').partition('\n## ')[0]


@pytest.mark.usefixtures('undrawn')
def test_an_axis_is_linear_where_a_loss_is_not_positive(out, tmp_path):
  said = 'An axis is linear where a loss'
  assert said not in (out / 'report.md').read_text()
  folder = folders.run(tmp_path / 'run', LABELS)
  figures = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  figures[-1]['train_loss'] = -0.5
  (folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in figures))
  report.study([folder], tmp_path / 'out')
  assert said in (tmp_path / 'out' / 'report.md').read_text()


@pytest.mark.usefixtures('undrawn')
def test_a_run_reports_itself_in_its_folder(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS)
  summary = report.run(folder)
  text = (folder / 'report.md').read_text()
  for name in ('overview.png', 'summary.png', 'curves.png'):
    assert (folder / name).read_bytes().startswith(b'\x89PNG')
    assert f']({name})' in text
  heading, _, *lines = table('\n' + text, '\n')
  assert [line[0] for line in lines[:4]] == [
    'teacher resnet14x2',
    'pidkd resnet8',
    'simkd resnet8',
    'scratch resnet8',
  ]
  assert 'top-1 minus simkd (points)' in heading and 'own updates (s)' in heading
  short = summary.table
  assert [row[0] for row in short.rows] == [line[0] for line in lines[:4]]
  assert short.headings == (
    'network',
    'parameters (M)',
    'top-1 (%)',
    'top-1 minus simkd (points)',
    'agreement (%)',
  )
  assert short.words == (0,) and short.rows[0][-2:] == ('', '')
  assert summary.notes == ('±: standard deviation over 2 trials; [ ]: 95% interval.',)
  assert summary.render(200).endswith(
    f'Report:    {folder / "report.md"}, main.csv, trials.csv\n'
    f'Pictures:  {folder / "overview.png"}, summary.png, curves.png\n'
    f'Bundles:   {folder / "bundles"}'
  )
  folders.run(tmp_path / 'alone' / 'longer', LABELS, epochs=40)
  report.run(folders.run(tmp_path / 'alone', LABELS[:1]))
  alone = (tmp_path / 'alone' / 'report.md').read_text()
  assert 'minus' not in alone and 'resamples' not in alone


@pytest.mark.usefixtures('without_figures')
def test_times_stand_only_where_students_have_them(tmp_path):
  folder = folders.run(tmp_path / 'run', LABELS[:1])
  for name in ('pidkd-0', 'pidkd-1'):
    folders.change(folder, name, lambda card: card['training'].pop('seconds'))
  card = json.loads((folder / 'teacher.json').read_text())
  (folder / 'teacher.json').write_text(json.dumps({**card, 'training': {'seconds': 26.0}}))
  report.run(folder)
  assert 'own updates' not in (folder / 'report.md').read_text()


def test_out_must_be_writable(cohort, tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='--out .* cannot be written: .*; name another'):
    report.study([cohort], tmp_path / 'file' / 'out')


def test_the_command_takes_flags_behind_runs(cohort, tmp_path, forks):
  arguments = (str(cohort), '--out', str(tmp_path / 'out'), '--baseline', 'scratch')
  done = forks.run('report', arguments, tmp_path, {})
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == str(tmp_path / 'out' / 'report.md')
  assert 'top-1 minus scratch' in (tmp_path / 'out' / 'report.md').read_text()
