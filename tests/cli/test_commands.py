"""What all commands share: dispatch, help, names of configs, --show."""

import json
import re
import resource
import shlex
import subprocess
import sys

import pytest

from pidkd_jax.cli import app, config_files, help, training_flags
from pidkd_jax.cli.main import files, main
from pidkd_jax.core import versions
from pidkd_jax.core.errors import UserError
from tests.cli import command_flags
from tests.small import ROOT

COMMANDS = list(files())
PROGRAM = [sys.executable, '-m', 'pidkd_jax.cli.main']


def start(*arguments, folder=ROOT):
  return subprocess.run(
    [*PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=False
  )


# --- dispatch


def test_the_commands():
  assert set(COMMANDS) == {
    'train', 'study', 'report', 'evaluate', 'predict', 'export', 'condense', 'latency', 'plan',
    'networks', 'methods', 'probe', 'import-torch', 'benchmark', 'push', 'pull',
  }  # fmt: skip


@pytest.mark.parametrize('command', COMMANDS)
def test_a_script_is_a_door_to_each_command(command):
  name = 'main' if command == 'train' else command.replace('-', '_')
  assert f"door.enter('{command}')" in (ROOT / 'scripts' / f'{name}.py').read_text()


def test_an_unknown_command_is_one_line_with_the_nearest(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['pidkd', 'trian', '--config=digits'])
  with pytest.raises(SystemExit) as ended:
    main()
  assert ended.value.code == 2
  out, err = capsys.readouterr()
  assert not out and err.startswith("unknown command 'trian'; did you mean 'train'?")
  assert err.count('\n') == 1


@pytest.mark.parametrize(
  ('arguments', 'status', 'lazy'),
  [(['--help'], 0, ('jax', 'absl')), ([], 0, ('jax', 'absl')), (['train'], 1, ('jax', 'flax'))],
)
def test_what_needs_no_jax_imports_none(arguments, status, lazy):
  script = f"""
import sys
sys.argv = ['pidkd', *{arguments!r}]
from pidkd_jax.cli.main import main
try:
  main()
except SystemExit as ended:
  assert ended.code == {status}, ended.code
assert not set({lazy!r}) & set(sys.modules)
"""
  done = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert done.stdout.count('\n') > len(COMMANDS) if not status else 'digits' in done.stderr


def test_version_is_one_line(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['pidkd', '--version'])
  main()
  assert capsys.readouterr().out == f'{versions.line()}\n'


def test_ctrl_c_while_a_command_is_imported_is_one_line():
  script = """
import os, signal, sys
from pidkd_jax.cli import main
def import_(name):
  os.kill(os.getpid(), signal.SIGINT)
  raise ImportError('an extension that was interrupted')
main.importlib.import_module = import_
sys.argv = ['pidkd', 'networks']
main.main()
"""
  done = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
  assert (done.returncode, done.stdout, done.stderr) == (130, '', 'stopped\n')


# --- help


def fits(text):
  return len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80


def test_the_overview_has_a_line_for_each_command():
  text = help.overview(files(), config_files.names())
  assert fits(text)
  assert '\nConfigs: cifar100, condense, demo, digits,' in text and '\nStudies: capacity,' in text
  for command in COMMANDS:
    assert re.search(rf'^  {command} +[A-Z][^.]+\.$', text, re.MULTILINE), command


@pytest.mark.parametrize('command', COMMANDS)
def test_help_fits_a_screen_and_has_an_example_with_known_flags(command):
  flags = command_flags.of(command)
  docstring = command_flags.module(command).__doc__
  text = help.of_command(docstring, flags)
  assert fits(text), text
  assert re.search(rf'\n    pidkd {command} (--|runs/|user/|students/)', text)
  known = {flag.name for flag in flags}
  assert set(re.findall(r'--(?:no)?(\w+)', docstring)) <= known | {'help'}
  assert all(f'--{name}' in text or f'--[no]{name}' in text for name in known)


def test_help_ends_with_status_0(monkeypatch, capsys):
  done = start('networks', '--help')
  assert (done.returncode, done.stderr) == (0, '')
  assert '  --image_size=32    Side of the square images.\n' in done.stdout


@pytest.mark.parametrize('word', ['--help', '-h', '--helpfull', '--helpshort'])
def test_every_word_for_help_is_understood(word, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['pidkd', 'report', 'runs/a', word])
  own = command_flags.of('report')
  monkeypatch.setattr(app, 'define', lambda _: own)
  main()
  assert capsys.readouterr().out.startswith('Make tables')


def test_help_with_a_config_lists_its_fields_too(tmp_path):
  done = start('train', '--help', '--config=digits:pidkd', '--config.trials=3', folder=tmp_path)
  assert (done.returncode, done.stderr) == (0, '')
  flags, fields = done.stdout.split('\n\nWhat is trained\n')
  assert '--workdir' in flags and re.search(r'\n  trials +int  3 ', fields)
  assert '\n  num_projectors  int    3 ' in fields
  assert not list(tmp_path.iterdir())


def test_help_with_a_config_that_does_not_exist_is_one_line(tmp_path):
  done = start('train', '--config=digit', '--help', folder=tmp_path)
  assert done.returncode == 2 and done.stderr.startswith("unknown config 'digit'")
  assert done.stderr.count('\n') == 1 and done.stdout.startswith('Train a teacher')


# --- configs


def test_names_of_configs_are_unambiguous():
  stems = [name.rpartition('/')[2] for name in config_files.names()]
  assert len(set(stems)) == len(stems) and {'digits', 'methods'} <= set(stems)


@pytest.mark.parametrize(
  ('given', 'path'),
  [
    ('digits', 'digits.py'),
    ('cifar100:vgg13-vgg8:pidkd,kd_1_1', 'cifar100.py:vgg13-vgg8:pidkd,kd_1_1'),
    ('methods', 'studies/methods.py'),
    ('studies/methods:vgg13-vgg8', 'studies/methods.py:vgg13-vgg8'),
  ],
)
def test_a_name_is_that_of_a_file(given, path):
  path = f'{ROOT}/configs/{path}'
  assert training_flags.resolve(['pidkd', f'--config={given}']) == ['pidkd', f'--config={path}']
  assert training_flags.resolve(['--config', given, '-x']) == ['--config', path, '-x']


@pytest.mark.parametrize('given', ['configs/digits.py:pidkd', 'nowhere.py', '.'])
def test_a_path_stays(given):
  assert training_flags.resolve(['--config', given]) == ['--config', given]


def test_only_a_json_after_config_is_read_so():
  place = training_flags._SAVED
  given = ['pidkd', '--config=a/b.json', '--config', 'c.json', '--config=d.py', '--out=e.json']
  assert training_flags.resolve(given) == [
    'pidkd',
    f'--config={place}:a/b.json',
    '--config',
    f'{place}:c.json',
    '--config=d.py',
    '--out=e.json',
  ]
  assert training_flags.resolve(['pidkd', 'f.json']) == ['pidkd', 'f.json']


def test_an_unknown_name_lists_the_names():
  with pytest.raises(UserError, match=r"unknown config 'digit'; .*'digits'\? .*: pidkd --help"):
    training_flags.resolve(['--config=digit'])


# --- --show


def test_show_prints_every_field_and_ends(tmp_path):
  done = start(
    'train',
    '--config=digits:kd_1_1,scratch',
    '--workdir=run',
    '--config.student=no such network',
    '--config.method.weight=2',
    '--show',
    folder=tmp_path,
  )
  assert (done.returncode, done.stderr) == (0, '')
  head, lines = done.stdout.split('\n\n')
  path = ROOT / 'configs' / 'digits.py'
  assert head == f'# config: {path}\n# argument: kd_1_1,scratch'
  sources = dict(re.split(r' {2,}', line) for line in lines.splitlines())
  assert sources["student = 'no such network'"] == 'command line'
  assert sources['method.weight = 2.0'] == 'command line'
  assert (sources["method.name = 'kd_1_1'"], sources['trials = 1']) == ('argument', 'default')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('named, status', [('kd_01_09', 2), ('kd_1_1', 0)])
def test_the_command_line_changes_no_method(named, status, tmp_path):
  done = start(
    *('train', '--config=digits:kd_1_1', f'--config.method.name={named}', '--show'), folder=tmp_path
  )
  line = "--config.method.name=kd_01_09 would train it with the fields of 'kd_1_1'; choose"
  assert done.returncode == status and bool(status) == done.stderr.startswith(line), done.stderr
  assert done.stderr.count('\n') == bool(status)


@pytest.mark.parametrize(
  'arguments',
  [
    ('condense', '--config=condense', '--config.rows.one.method=linear'),
    ('train', '--config=config.json', '--config.method.name=kd_01_09'),
  ],
)
def test_a_row_and_a_run_keep_their_methods(arguments, tmp_path):
  saved = {'student': 'resnet8', 'teacher': {}, 'data': {}, 'method': {'name': 'kd_1_1'}}
  (tmp_path / 'config.json').write_text(json.dumps(saved))
  done = start(*arguments, '--show', folder=tmp_path)
  assert done.returncode == 2 and done.stderr.count('\n') == 1
  assert re.search(r"fields of '\w+'; write a row for it into a config file of your", done.stderr)


# --- benchmark


@pytest.mark.parametrize(('platform', 'unit'), [('linux', 1024), ('darwin', 1)])
def test_peak_memory_is_counted_in_bytes(platform, unit, monkeypatch):
  benchmark = command_flags.module('benchmark')
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  monkeypatch.setattr(sys, 'platform', platform)
  assert unit * peak <= benchmark._peak_memory() < 2 * unit * peak


@pytest.mark.parametrize('command', [['--help'], ['train', '--config=digits', '--show']])
def test_a_reader_that_stops_ends_the_command_quietly(command):
  script = shlex.join([sys.executable, '-m', 'pidkd_jax.cli.main', *command])
  done = subprocess.run(
    ['bash', '-o', 'pipefail', '-c', f'{script} | true'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  # 141 where the command still wrote when the reader ended, 0 where it had written all.
  assert done.returncode in (0, 141) and done.stderr == ''
