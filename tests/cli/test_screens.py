"""What commands print in a pipe: 80 columns, no colour, and where the rest is."""

import re
import types

import pytest

from pidkd_jax import models
from tests.cli import command_flags


@pytest.mark.parametrize('maps', [False, True])
def test_networks_are_a_table_and_maps_are_asked_for(maps, monkeypatch, capsys):
  networks = command_flags.module('networks')
  given = types.SimpleNamespace(image_size=32, num_classes=100, maps=maps)
  monkeypatch.setattr(networks, 'FLAGS', given)
  monkeypatch.setattr(models, 'names', lambda: ['resnet8'])
  networks.main()
  above, rule, rows = re.split(r'\n(-+)\n', capsys.readouterr().out)
  assert max(map(len, (*above.splitlines(), rule, *rows.splitlines()))) <= 80
  # The counts are RepDistiller's.
  cells = ['resnet8', '83,892', '12,507,392', '8x8x64']
  cells += ['32x32x16,', '32x32x16,', '16x16x32,', '8x8x64'] if maps else []
  assert rows.partition('\n\n')[0].split() == cells


def test_the_table_of_speeds_by_hand(monkeypatch):
  benchmark = command_flags.module('benchmark')
  monkeypatch.setattr(benchmark, 'FLAGS', types.SimpleNamespace(batch_size=64))
  lines = benchmark._table([('training step', 640, [1.0, 2.0, 4.0])]).render(80).splitlines()
  assert lines[-1].split('  ')[-1].strip() == '200.0'  # 64 of 640 images in 2 s.
  assert ' 320 ' in lines[-1] and ' 160 - 640 ' in lines[-1]


def test_the_teachers_pass_is_timed_in_the_form_of_training(monkeypatch):
  benchmark = command_flags.module('benchmark')
  monkeypatch.setattr(benchmark, 'FLAGS', types.SimpleNamespace(steps=3))
  seen = []
  # In bfloat16 the cohort keeps the teacher's kernels converted.
  cohort = types.SimpleNamespace(observe=lambda batch: seen.append(batch) or len(seen))
  assert benchmark._observe(cohort, 'batch') == 3
  assert seen == ['batch'] * 3


def test_a_study_says_which_cohort_and_how_to_report_all(monkeypatch, capsys):
  study = command_flags.module('study')
  from pidkd_jax.experiment import study as experiment

  given = types.SimpleNamespace(config=None, workdir='runs/my study', rows=[], dry_run=False)
  monkeypatch.setattr(study.flags, 'FLAGS', given)
  reports = {'first': 'one', 'second': 'two', 'third': ''}
  monkeypatch.setattr(experiment, 'main', lambda *_: reports)
  study.main()
  *lines, last = capsys.readouterr().out.splitlines()
  assert lines[:3] == ['Cohort first', '', 'one'] and 'Cohort third' not in lines
  assert last == (
    "All cohorts in one report:  pidkd report 'runs/my study' --out 'runs/my study/report'"
  )
