"""The summary that a finished run keeps, and what makes it void."""

import json
import os
import shutil
import time

import pytest

from pidkd_jax.core.screen import Summary, Table
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment import finished
from pidkd_jax.parallel import processes
from pidkd_jax.training import log


@pytest.fixture
def config():
  return configuration.default('pidkd,scratch')


@pytest.fixture
def run(config, tmp_path):
  """Return the folder of a run that has just been reported."""
  folder = tmp_path / 'run'
  for name in ('bundles/pidkd-0/card.json', 'bundles/scratch-0/card.json', 'metrics.jsonl', 'lock'):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{}')
  (folder / log.FILE).write_text('')
  (folder / 'config.json').write_text(json.dumps(config.to_dict()))
  (folder / 'report.md').write_text('the report')
  report(folder)
  return folder


def summary(folder):
  """Return what a run in this folder says; the folder itself is not kept."""
  return Summary('the title', Table(('network',), (('pidkd',),)), ('a note',), str(folder))


def report(folder):
  """Report a run; the clock ticks before and after, as a tick may be 10 ms."""
  time.sleep(0.02)
  finished.keep(folder, summary(folder))
  time.sleep(0.02)


def test_a_run_that_nothing_has_changed_answers(config, run):
  assert finished.summary(config, str(run)) == summary(run)


def test_a_start_before_may_have_locked_the_folder_and_logged(config, run):
  for name in ('lock', log.FILE):
    (run / name).write_text('more')
  assert finished.summary(config, str(run)) == summary(run)


@pytest.mark.parametrize('name', ['report.md', 'bundles/pidkd-0/card.json', 'metrics.jsonl'])
def test_a_changed_file_makes_it_void(config, run, name):
  status = (run / name).stat()
  (run / name).write_text('[]')
  os.utime(run / name, ns=(status.st_atime_ns, status.st_mtime_ns))  # As `cp -p` leaves it.
  assert finished.summary(config, str(run)) is None
  report(run)
  assert finished.summary(config, str(run)) == summary(run)


@pytest.mark.parametrize('name', ['report.md', 'bundles/pidkd-0'])
def test_a_missing_file_makes_it_void(config, run, name):
  path = run / name
  shutil.rmtree(path) if path.is_dir() else path.unlink()
  assert finished.summary(config, str(run)) is None


@pytest.mark.parametrize(
  'text', ['', '[]', '{"title": 1}', '{"table": {"headings": [], "rows": 1}}']
)
def test_a_damaged_summary_is_none(config, run, text):
  (run / 'summary.json').write_text(text)
  assert finished.summary(config, str(run)) is None


def test_a_run_that_moved_says_where_it_lies(config, run, tmp_path):
  report(shutil.copytree(run, tmp_path / 'moved'))
  assert finished.summary(config, str(tmp_path / 'moved')).folder == str(tmp_path / 'moved')


def test_another_configuration_is_no_finished_run(config, run):
  config.devices = 3
  assert finished.summary(config, str(run)) is None


def test_a_bundle_that_is_there_has_to_be_loaded(config, run, tmp_path):
  config.teacher.bundle = str(tmp_path / 'teacher')
  (run / 'config.json').write_text(json.dumps(config.to_dict()))
  report(run)
  assert finished.summary(config, str(run)) == summary(run)  # As a report needs no teacher.
  (tmp_path / 'teacher').mkdir()
  assert finished.summary(config, str(run)) is None


def test_a_changed_archive_makes_it_void(config, run, tmp_path):
  config.data.archive = str(tmp_path / 'images')
  (run / 'config.json').write_text(json.dumps(config.to_dict()))
  image = tmp_path / 'images' / 'cat' / '1.png'
  image.parent.mkdir(parents=True)
  image.write_text('cat')
  report(run)
  assert finished.summary(config, str(run)) == summary(run)
  image.write_text('dog')
  assert finished.summary(config, str(run)) is None


@pytest.mark.parametrize('name, holds', [('image_folder', False), ('cifar100', True)])
def test_a_table_of_images_does_not_tell_whether_they_changed(config, run, tmp_path, name, holds):
  config.data.name, config.data.archive = name, str(tmp_path / 'labels.csv')
  (run / 'config.json').write_text(json.dumps(config.to_dict()))
  (tmp_path / 'labels.csv').write_text('1.png,cat')
  report(run)
  (tmp_path / '1.png').write_text('dog')
  assert finished.summary(config, str(run)) == (summary(run) if holds else None)


def test_images_behind_a_link_are_not_taken_for_unchanged(config, run, tmp_path):
  config.data.archive = str(tmp_path / 'images')
  (run / 'config.json').write_text(json.dumps(config.to_dict()))
  for name in ('images', 'cats'):
    (tmp_path / name).mkdir()
  (tmp_path / 'images' / 'cat').symlink_to(tmp_path / 'cats')
  (tmp_path / 'cats' / '1.png').write_text('cat')
  report(run)
  (tmp_path / 'cats' / '1.png').write_text('dog')
  assert finished.summary(config, str(run)) is None


@pytest.mark.parametrize('field', ['data.archive', 'teacher.bundle'])
def test_a_path_below_the_home_folder_is_looked_at(config, run, tmp_path, monkeypatch, field):
  monkeypatch.setenv('HOME', str(tmp_path))
  group, name = field.split('.')
  config[group][name] = '~/there'
  (run / 'config.json').write_text(json.dumps(config.to_dict()))
  report(run)
  assert finished.summary(config, str(run)) == summary(run)
  (tmp_path / 'there').mkdir()
  assert finished.summary(config, str(run)) is None


def test_several_processes_look_together(config, run, monkeypatch):
  monkeypatch.setattr(processes, 'is_initialized', lambda: True)
  assert finished.summary(config, str(run)) is None


@pytest.mark.parametrize('folder', ['', '~nobody/x', 'nowhere'])
def test_a_folder_without_a_run_has_no_summary(config, folder, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert finished.summary(config, folder) is None


def test_a_damaged_run_has_no_summary(config, run):
  (run / 'config.json').write_text('{')
  assert finished.summary(config, str(run)) is None


def test_a_summary_that_cannot_be_kept_costs_nothing(tmp_path):
  finished.keep(tmp_path / 'gone', summary(tmp_path))
