"""Where a teacher is kept."""

import dataclasses

import numpy as np

from pidkd_jax.data.dataset import Dataset
from pidkd_jax.data.pipeline.resident_split import ResidentSplit
from pidkd_jax.experiment import teacher
from pidkd_jax.experiment.experiment import Experiment
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
