"""Where a teacher is kept, and which data it fits."""

import dataclasses
import logging
import pathlib

import numpy as np
import pytest

from pidkd_jax import models
from pidkd_jax.bundles import bundle
from pidkd_jax.bundles.bundle import Bundle
from pidkd_jax.core.errors import UserError
from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.experiment import teacher
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.models.network import Network
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe


def test_a_teacher_of_other_data_or_of_another_recipe_has_another_folder(dataset, tmp_path):
  split = ResidentSplit(np.zeros((12, 8, 8, 3), np.uint8), dataset.labels)
  experiment = Experiment(
    (Member('teacher', 'resnet8', 'scratch', {}, OptimizerHparams(), -1),),
    Recipe(),
    seed=0,
    padding=0,
    flip=False,
  )
  folders = [
    teacher.folder_of(experiment, Dataset(spec, split, split), tmp_path)
    for spec in (dataset, dataclasses.replace(dataset, fingerprint='1' * 64))
  ]
  others = [
    dataclasses.replace(experiment, seed=1),
    dataclasses.replace(experiment, recipe=Recipe(momentum=0.8)),
  ]
  folders += [
    teacher.folder_of(other, Dataset(dataset, split, split), tmp_path) for other in others
  ]
  assert len(set(folders)) == 4
  again = teacher.folder_of(experiment, Dataset(dataset, split, split), tmp_path)
  assert again == folders[0]


def imported(class_names, spec, num_classes=3):
  """Return a bundle as an import without a data set writes it."""
  network = Network({}, models.create('resnet8', num_classes=num_classes))
  facts = {'name': None, 'class_names': class_names, 'image_shape': list(spec.image_shape)}
  return Bundle(network, {'dataset': facts}, '', pathlib.Path('imported'))


def test_a_teacher_with_class_names_and_no_data_set_fits_data_of_these_classes(dataset, caplog):
  with caplog.at_level(logging.WARNING):
    teacher.check_fit('it', imported(['a', 'b', 'c'], dataset), dataset)
    assert not caplog.text
    teacher.check_fit('it', imported(None, dataset), dataset)
  assert 'it does not say which classes it knows; they are taken to be those of toy' in caplog.text


def test_a_first_teacher_for_other_images_is_left_out(dataset, monkeypatch, caplog):
  first = imported(None, dataclasses.replace(dataset, image_shape=(32, 32, 3)))
  monkeypatch.setattr(bundle, 'load', lambda *_: first)
  card = {'training': {'teacher': {'folder': 'imported', 'digest': first.digest}}}
  second = Bundle(first.network, card, '', pathlib.Path('second'))
  assert teacher.teacher_of(second, (), dataset) is None
  assert 'is for images of [32, 32, 3], and toy has' in caplog.text
  larger = dataclasses.replace(dataset, image_shape=(32, 32, 3))
  assert teacher.teacher_of(second, (), larger) is first


@pytest.mark.parametrize(
  'class_names, message',
  [
    (
      ['a', 'c', 'b'],
      r"toy do not have the same classes: they have another order \(class 1 is 'c' and 'b'\); "
      'give another bundle, or import it anew with --data',
    ),
    (['a', 'b'], 'is for the 2 classes of unknown data at .* and not for the 3 of toy'),
  ],
)
def test_a_teacher_of_other_class_names_is_refused(dataset, class_names, message):
  with pytest.raises(UserError, match=message):
    teacher.check_fit('it', imported(class_names, dataset, len(class_names)), dataset)
