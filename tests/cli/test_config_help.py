"""The fields of a config: their meanings (--help), and where their values come from (--show)."""

import re
import runpy

import pytest

from pidkd_jax.cli import config_help
from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import fields
from tests.small import ROOT


def config(name, *arguments):
  return runpy.run_path(str(ROOT / 'configs' / f'{name}.py'))['get_config'](*arguments)


# --- meanings


@pytest.mark.parametrize('name', ['digits', 'condense', 'studies/methods', 'studies/transfer'])
def test_each_group_of_fields_fits_a_screen(name):
  text = config_help.meanings(config(name))
  assert max(map(len, text.splitlines())) <= 80
  groups = re.split(r'\n\n(?=\S)', text)
  assert [group.splitlines()[0] for group in groups][: len(fields.SECTIONS)] == [*fields.SECTIONS]
  assert max(len(group.splitlines()) for group in groups) <= 23
  for field in fields.FIELDS:
    assert re.search(rf'^  {re.escape(field.name)} ', text, re.MULTILINE), field.name


def test_a_field_has_its_type_the_value_of_the_config_and_its_meaning():
  text = config_help.meanings(config('digits', 'kd_1_1,scratch'))
  assert re.search(r'\n  total_epochs +int +30 +epochs of the students\n', text)
  assert re.search(r"\n  data.name +str +'digits' +data set, or module:Class\n", text)
  method, other = text.split('\nkd_1_1: ')[1].split('\nscratch: ')
  assert '--config.method.FIELD=VALUE' in method
  assert '\n  temperature   float  4.0       T, divides both logits; 4 in all public' in method
  assert '--config.compare.scratch.FIELD=VALUE\n\n  (no fields)\n' in other


def test_a_config_that_is_none_is_one_line():
  for text in (config_help.meanings, lambda c: config_help.sources(c, None, (), 'file.py')):
    with pytest.raises(UserError, match='the config is a dict and no ConfigDict; make it as'):
      text({'batch_size': 64})


def test_rows_of_one_method_share_its_fields():
  text = config_help.meanings(config('studies/scale'))
  [group] = re.findall(r'(?s)\npidkd: .*?\n\n(?=\S)', text)
  assert '--config.cohorts.epochs10.rows.LABEL.FIELD=VALUE' in group
  assert 'LABEL: projectors_fast, projectors_slow' in group and 'and 1 more' in group
  assert re.search(r'\n  weight +float  by row  of the squared error', group)
  assert re.search(r'\n  factor +int    2 ', group)
  assert '\n  total_epochs  int  10  epochs of the students\n' in text


# --- sources


def shown(config, unargued=None, given=()):
  lines = config_help.sources(config, unargued, given, 'file.py').splitlines()
  assert len({re.split(r' {2,}(?=\S+(?: line)?$)', line)[0] for line in lines}) == len(lines)
  return dict(re.fullmatch(r'(.+?) {2,}(\S.*)', line).groups() for line in lines)


def test_each_value_has_its_source():
  chosen = config('cifar100', 'vgg13-MobileNetV2:kd_1_1,scratch')
  chosen.teacher.seed = 3
  found = shown(chosen, config('cifar100'), ['teacher.seed'])
  for line, source in {
    'trials = 1': 'default',
    "data.name = 'cifar100'": 'file.py',
    'teacher.seed = 3': 'command line',
    "student = 'MobileNetV2'": 'argument',
    'learning_rate = 0.01': 'argument',
    "method.name = 'kd_1_1'": 'argument',
    'method.weight = 1.0': 'default',
    'compare.scratch = (no fields)': 'argument',
  }.items():
    assert found[line] == source, line


def test_without_an_argument_the_file_or_a_default_is_the_source():
  found = shown(config('digits'))
  assert found["method.name = 'pidkd'"] == found['total_epochs = 30'] == 'file.py'
  assert found['method.weight = 30.0'] == found['batch_size = 64'] == 'default'
  assert found['compare.scratch = (no fields)'] == 'file.py'
  rows = shown(config('studies/methods'))
  assert rows["cohorts.all.rows.pidkd.method = 'pidkd'"] == 'file.py'
  assert rows['cohorts.all.rows.pidkd.trials = 5'] == 'file.py'
  assert rows['cohorts.all.rows.sp.weight = 3000.0'] == 'default'


def test_a_pairs_size_comes_from_the_argument():
  arguments = ('resnet14x2-resnet8', '')
  chosen, usual = (config('cifar100', argument) for argument in arguments)
  assert shown(chosen, usual)['method.num_projectors = 2'] == 'argument'
