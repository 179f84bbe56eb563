"""A config.json may come from anyone: it names no code that the command line does not name."""

import json
import subprocess
import sys

import pytest

from tests.small import ROOT

NAME = 'shared.evil:Net'


def train(home, field, *arguments):
  """Show the configuration of a config.json in which `field` names a module."""
  saved = {'student': 'resnet8', 'teacher': {'model': 'resnet8'}, 'data': {'name': 'digits'}}
  saved['rows'] = {'a': {'method': 'kd_1_1', 'student': ''}}
  group, path = saved, field.split('.')
  for part in path[:-1]:
    group = group[part]
  group[path[-1]] = f'{NAME}*2' if 'rows' in field else NAME
  (home / 'config.json').write_text(json.dumps(saved))
  command = [sys.executable, '-m', 'pidkd_jax.cli.main', 'train', '--show']
  return subprocess.run(
    [*command, f'--config={home}/config.json', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize('field', ['student', 'teacher.model', 'rows.a.student'])
def test_code_that_only_a_file_names_is_refused(field, tmp_path):
  done = train(tmp_path, field)
  assert done.returncode == 2 and done.stderr.count('\n') == 1
  assert done.stderr.startswith(f"{field} of the run's config.json is '{NAME}")
  assert done.stderr.endswith(f'by --own={NAME}\n') and not done.stdout


@pytest.mark.parametrize('named', [f'--own={NAME}', f'--config.student={NAME}'])
def test_code_that_the_command_line_names_is_taken(named, tmp_path):
  done = train(tmp_path, 'student', named)
  assert done.returncode == 0 and f"student = '{NAME}'" in done.stdout, done.stderr
