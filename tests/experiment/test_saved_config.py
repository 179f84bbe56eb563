"""A run's config.json as a configuration."""

import json

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import check, config, pairs, saved_config


def write(tmp_path, saved):
  """Write a config.json and return its path."""
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(saved))
  return str(path)


@pytest.mark.parametrize('arg', ['', 'kd_1_1', 'vgg13-vgg8:pidkd,simkd,crd'])
def test_a_configuration_comes_back(arg, tmp_path):
  written = config.default(arg, pairs.CIFAR100)
  written.drops = (0.5, 0.9)
  written.teacher.total_epochs = 7
  path = write(tmp_path, written.to_dict() | {'networks': {'a:B': {}}})
  loaded = saved_config.get_config(path)
  assert loaded.to_dict() == written.to_dict()
  assert config.rows(loaded) == config.rows(written)


def test_a_cohort_of_a_study_comes_back(tmp_path):
  study = config.study('', pairs.CIFAR100)
  study.cohorts = {'all': {'rows': {'a': config.row('kd_1_1', weight=2.0)}, 'trials': 3}}
  [cohort] = config.cohorts(study).values()
  loaded = saved_config.get_config(write(tmp_path, cohort.to_dict()))
  assert loaded.to_dict() == cohort.to_dict()


@pytest.mark.parametrize('group, name', [(None, 'precision'), ('data', 'shots')])
def test_a_field_that_is_newer_than_the_run_has_its_default(group, name, tmp_path):
  default = config.default('')
  saved = default.to_dict()
  del (saved[group] if group else saved)[name]
  loaded = saved_config.get_config(write(tmp_path, saved))
  assert loaded.to_dict() == default.to_dict()


@pytest.mark.parametrize(
  'content, message',
  [
    (None, 'cannot be read: No such file'),
    ('{"student": ', 'is damaged'),
    ('[1]', 'is damaged: it holds no JSON object'),
    ('{"model": "resnet8"}', 'is not the config.json of a run'),
    ('{"student": "a", "teacher": {}, "data": {}, "colour": 1}', 'does not know .*colour'),
    ('{"student": 5, "teacher": {}, "data": {}}', 'does not know .*student'),
  ],
)
def test_another_file_is_refused_in_one_line(content, message, tmp_path):
  path = tmp_path / 'config.json'
  if content is not None:
    path.write_text(content)
  with pytest.raises(UserError, match=message) as raised:
    saved_config.get_config(str(path))
  assert str(path) in str(raised.value) and '\n' not in str(raised.value)


def test_a_file_without_methods_is_refused_before_the_training(tmp_path):
  path = write(tmp_path, {'student': 'resnet8', 'teacher': {}, 'data': {}, 'method': {}})
  with pytest.raises(UserError, match='neither rows nor method and compare'):
    check.check(saved_config.get_config(path))
