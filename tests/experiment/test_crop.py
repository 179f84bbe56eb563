"""The crop of an experiment, from the configuration to the batches."""

import dataclasses
import json

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.data.pipeline import augment
from pidkd_jax.experiment import arguments, planning
from pidkd_jax.experiment.check import check
from pidkd_jax.experiment.config import default
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.experiment.pairs import CIFAR100
from pidkd_jax.training.recipe import Recipe

DATA = noise.dataset(64, 8, 3)


def config(**fields):
  made = default('', CIFAR100)
  made.data.name = 'digits'
  for name, value in fields.items():
    made.data[name] = value
  return made


def test_a_crop_goes_from_the_configuration_to_the_batches():
  made = config(crop='resized', crop_scale=(0.25, 0.5), crop_aspect=(1.0, 1.0))
  experiment = planning._experiment(made, (), Recipe(), 0, DATA.spec)
  wanted = augment.ResizedCrop(scale=(0.25, 0.5), aspect=(1.0, 1.0))
  assert augment.CROPS[experiment.crop](experiment) == wanted
  padded = planning._experiment(config(padding=3), (), Recipe(), 0, DATA.spec)
  assert augment.CROPS[padded.crop](padded) == augment.PaddedCrop(3)


def test_python_takes_the_crops_that_a_configuration_takes():
  made = config(crop='resized', crop_scale=(0.25, 0.5), padding=3, flip=0, holdout=0.1)
  crops = Crops('resized', crop_scale=(0.25, 0.5), padding=3, flip=False)
  ours = arguments.experiment((), DATA, Recipe(), crops, seed=4, holdout=0.1)
  assert ours == planning._experiment(made, (), Recipe(), 4, DATA.spec)
  own = arguments.experiment((), DATA, Recipe(), Crops(), seed=0)
  assert (own.padding, own.flip) == (DATA.spec.padding, DATA.spec.flip)


@pytest.mark.parametrize(
  'crops, message',
  [
    (Crops('resize'), "unknown crop 'resize'.*resized"),
    (Crops(crop_scale=(0.5, 1.5)), '^crop_scale is .*; two shares are needed'),
    (Crops(padding=9), '^padding is 9; images of noise allow 0 to 8, and its own is 4'),
    (Crops(padding=-1), '^padding is -1'),
    (Crops(crop_scale=0.5), '^crop_scale is 0.5; two shares are needed'),
  ],
)
def test_crops_in_python_that_nobody_can_mean_are_refused(crops, message):
  with pytest.raises(UserError, match=message):
    arguments.experiment((), DATA, Recipe(), crops, seed=0)


def test_a_crop_is_written_and_read_again():
  experiment = Experiment(
    (), Recipe(), 0, padding=1, flip=True, crop='resized', crop_scale=(0.2, 0.9)
  )
  saved = json.loads(json.dumps(dataclasses.asdict(experiment)))
  assert Experiment.from_json(saved) == experiment
  # A file of an older version says nothing of it.
  older = {name: value for name, value in saved.items() if not name.startswith('crop')}
  assert Experiment.from_json(older).crop == 'pad'


@pytest.mark.parametrize(
  'name, value, message',
  [
    ('crop', 'resize', "'resize'.*resized"),
    ('crop_scale', (0.0, 1.0), 'data.crop_scale is .*; two shares are needed, the smaller first'),
    ('crop_scale', (0.5, 1.5), 'two shares are needed'),
    ('crop_aspect', (1.5, 1.0), 'data.crop_aspect is .*; two numbers above 0 are needed'),
    ('crop_ratio', 1.5, 'data.crop_ratio is 1.5; a share up to 1 is needed'),
    ('crop_ratio', 0.0, 'data.crop_ratio is 0.0; it must be greater than 0'),
  ],
)
def test_a_crop_that_nobody_can_mean_is_refused(name, value, message):
  with pytest.raises(UserError, match=message):
    check(config(**{name: value}))
