"""A config.json may come from anyone: it names no code that the command line does not name."""

import json
import subprocess
import sys

import pytest
from flax import traverse_util

from pidkd_jax.cli import training_flags
from tests.small import ROOT

NAME = 'shared.evil:Net'


def train(home, *arguments):
  """Show the configuration of a config.json whose student is of a module."""
  saved = {'student': NAME, 'teacher': {'model': 'resnet8'}, 'data': {'name': 'digits'}}
  (home / 'config.json').write_text(json.dumps(saved))
  command = [sys.executable, '-m', 'pidkd_jax.cli.main', 'train', '--show']
  return subprocess.run(
    [*command, f'--config={home}/config.json', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def test_code_that_only_a_file_names_is_refused(tmp_path):
  done = train(tmp_path)
  assert done.returncode == 2 and done.stderr.count('\n') == 1
  assert done.stderr.startswith(f"student of the run's config.json is '{NAME}'")
  assert done.stderr.endswith(f'by --own={NAME}\n') and not done.stdout


def test_a_config_before_it_hides_nothing(tmp_path):
  train(tmp_path)
  arguments = training_flags.resolve(['--config=digits', '--config', f'{tmp_path}/config.json'])
  assert training_flags.file(arguments).endswith('saved_config.py')
  assert training_flags.argument(arguments) == f'{tmp_path}/config.json'


@pytest.mark.parametrize('named', [f'--own={NAME}', f'--config.student={NAME}'])
def test_code_that_the_command_line_names_is_taken(named, tmp_path):
  done = train(tmp_path, named)
  assert done.returncode == 0 and f"student = '{NAME}'" in done.stdout, done.stderr


@pytest.mark.parametrize(
  'field',
  [
    *('student', 'teacher.model', 'data.name', 'probe.name', 'method.name'),
    *('compare.b.method', 'rows.a.method', 'rows.a.student'),
  ],
)
def test_a_field_that_may_name_code(field):
  value = f'{NAME}*2' if field.endswith('student') else NAME
  config = {'data': {'archive': 'c:/x', 'name': 'digits'}, 'method': {'name': 'kd_1_1'}}
  merged = traverse_util.flatten_dict(config, sep='.') | {field: value}
  assert list(training_flags.code(traverse_util.unflatten_dict(merged, sep='.'))) == [
    (field, value)
  ]


def test_a_label_may_name_code_too():
  assert list(training_flags.code({'compare': {'evil:Net': {}}})) == [
    ('compare.evil:Net', 'evil:Net')
  ]
