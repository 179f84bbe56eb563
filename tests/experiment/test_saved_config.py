"""A run's own config.json as a configuration."""

import json

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.experiment import config, pairs, saved_config


def written(tmp_path, made, **more):
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(made.to_dict() | more))
  return str(path)


@pytest.mark.parametrize('arg', ['', 'kd_1_1', 'vgg13-vgg8:pidkd,simkd,crd'])
def test_what_was_written_comes_back(arg, tmp_path):
  made = config.default(arg, pairs.CIFAR100)
  made.drops = (0.5, 0.9)
  made.teacher.total_epochs = 7
  found = saved_config.get_config(written(tmp_path, made, networks={'a:B': {}}))
  assert found.to_dict() == made.to_dict()
  assert config.rows(found) == config.rows(made)


def test_a_cohort_of_a_study_comes_back(tmp_path):
  study = config.study('', pairs.CIFAR100)
  study.cohorts = {'all': {'rows': {'a': config.row('kd_1_1', weight=2.0)}, 'trials': 3}}
  [made] = config.cohorts(study).values()
  assert saved_config.get_config(written(tmp_path, made)).to_dict() == made.to_dict()


def test_what_is_newer_than_the_run_has_its_default(tmp_path):
  made = config.default('')
  with made.unlocked():
    del made.precision
  assert saved_config.get_config(written(tmp_path, made)).precision == 'float32'


@pytest.mark.parametrize(
  'content, message',
  [
    (None, 'cannot be read: No such file'),
    ('{"student": ', 'is damaged'),
    ('[1]', 'is not the config.json of a run'),
    ('{"model": "resnet8"}', 'is not the config.json of a run'),
    ('{"student": "a", "teacher": {}, "data": {}, "colour": 1}', 'does not know .*colour'),
    ('{"student": 5, "teacher": {}, "data": {}}', 'does not know .*student'),
  ],
)
def test_what_is_none_is_said_in_one_line(content, message, tmp_path):
  path = tmp_path / 'config.json'
  if content is not None:
    path.write_text(content)
  with pytest.raises(UserError, match=message) as raised:
    saved_config.get_config(str(path))
  assert str(path) in str(raised.value) and '\n' not in str(raised.value)
