"""The file config.json of timm's hub, beside a checkpoint."""

import json

import pytest

from pidkd_jax.bundles import timm_config
from pidkd_jax.bundles.preprocessing import Preprocessing
from pidkd_jax.core.errors import UserError
from pidkd_jax.core.normalisation import Normalisation

CONTENT = {
  'architecture': 'resnet18',
  'num_classes': 2,
  'label_names': ['ant', 'bee'],
  'pretrained_cfg': {
    'input_size': [3, 224, 240],
    'crop_pct': 0.95,
    'mean': [0.5, 0.25, 0.125],
    'std': [0.1, 0.2, 0.3],
  },
}


@pytest.fixture
def read(tmp_path):
  """Return a function that reads the file's content, which it writes first."""

  def read(content):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / 'config.json').write_text(text)
    return timm_config.read(tmp_path / 'model.safetensors')

  return read


def altered(**entries):
  return {**CONTENT, 'pretrained_cfg': {**CONTENT['pretrained_cfg'], **entries}}


def test_tells_the_images_and_the_classes(read):
  assert read(CONTENT) == timm_config.TimmConfig(
    'resnet18',
    Preprocessing(
      (224, 240, 3), Normalisation((0.5, 0.25, 0.125), (0.1, 0.2, 0.3)), 0.95, 'bicubic'
    ),
    ('ant', 'bee'),
    2,
  )
  assert read({**CONTENT, 'label_names': {'n01': 'ant'}}).class_names is None
  assert read({**CONTENT, 'num_classes': 7, 'label_names': None}).num_classes == 7
  squashed = read(altered(interpolation='lanczos', crop_mode='squash')).preprocessing
  assert (squashed.interpolation, squashed.crop_mode) == ('lanczos', 'squash')


@pytest.mark.parametrize('content', ['{', '[]', {'model': 'vit'}, {'architecture': 'resnet18'}])
def test_other_files_are_left_alone(content, read):
  assert read(content) is None


def test_there_may_be_no_file(tmp_path):
  assert timm_config.read(tmp_path / 'model.safetensors') is None


def test_names_of_other_classes_than_their_number_are_refused(read):
  with pytest.raises(UserError, match='2 label_names for 3 classes'):
    read({**CONTENT, 'num_classes': 3})


@pytest.mark.parametrize(
  'entries, text',
  [
    ({'mean': [0.5]}, 'input_size'),
    ({'mean': None}, 'NoneType'),
    ({'std': [0, 1, 1]}, 'std 0 is not within'),
    ({'input_size': [3, 0, 224]}, 'input_size'),
    ({'crop_pct': 0}, 'crop_pct 0'),
  ],
)
def test_a_damaged_one_is_said_in_one_line(entries, text, read):
  with pytest.raises(UserError, match='beside the checkpoint, is damaged') as error:
    read(altered(**entries))
  assert text in str(error.value) and '\n' not in str(error.value)
