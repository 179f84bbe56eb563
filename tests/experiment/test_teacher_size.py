"""A run whose teacher sees larger images than its students."""

import dataclasses

import jax
import numpy as np
import pytest

from pidkd_jax.bundles import bundle, trained_network
from pidkd_jax.core.errors import UserError
from pidkd_jax.data import noise
from pidkd_jax.evaluation.evaluate import evaluate_metrics
from pidkd_jax.experiment import run
from pidkd_jax.experiment.check import check
from pidkd_jax.experiment.config import default
from pidkd_jax.experiment.crops import Crops
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.experiment.pairs import CIFAR100
from pidkd_jax.experiment.teacher import check_fit
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from tests import plain


@pytest.fixture(scope='module')
def dataset():
  large = noise.dataset(32, 16, 3)
  spec = dataclasses.replace(large.spec, image_shape=(8, 8, 3), image_size=8, teacher_size=16)
  return dataclasses.replace(
    large,
    spec=spec,
    train=dataclasses.replace(large.train, size=8),
    test=dataclasses.replace(large.test, size=8),
  )


def test_a_student_of_a_larger_teacher_predicts_at_its_own_size(dataset, taught, tmp_path):
  member = Member(
    'pidkd', 'tests.plain:Plain', 'pidkd', {'num_projectors': 2}, OptimizerHparams(), 0
  )
  experiment = Experiment((member,), Recipe(total_epochs=1, batch_size=16), 0, padding=1, flip=True)
  group = devices.DeviceGroup(tuple(jax.devices()[:1]), True)
  run.execute(experiment, dataset, taught, tmp_path, 'students', Execution(2**40, (group,)))
  folder = tmp_path / 'bundles' / 'pidkd-0'
  student = trained_network.load(folder, [plain.Plain])
  facts = student.card['dataset']
  assert student.image_shape == (8, 8, 3)
  assert (facts['image_shape'], facts['teacher_size']) == ([8, 8, 3], 16)
  [images] = dataset.test.blocks(len(dataset.test))
  assert student.predict(np.asarray(images)).shape == (len(dataset.test), 3)
  # Agreement and alignment are those with what the teacher sees, at evaluation as in training.
  loaded = bundle.load(folder, [plain.Plain])
  network = {'student': loaded.network}
  [metrics] = evaluate_metrics(network, dataset.test, loaded.normalisation, taught.network).values()
  results = student.card['results']
  assert 'alignment_error' in metrics
  for name, value in metrics.items():
    assert results[name] == pytest.approx(value, rel=1e-6), name


def test_a_teacher_must_have_its_size(dataset, taught):
  def sized(size):
    facts = taught.card['dataset'] | {'class_names': None, 'name': None}
    card = taught.card | {'dataset': facts | {'image_shape': [size, size, 3]}}
    return dataclasses.replace(taught, card=card)

  spec = dataclasses.replace(dataset.spec, format='image_folder')
  check_fit('it', sized(16), spec)
  with pytest.raises(UserError, match=r'8, 3\] and not for .* 16, 3\]; give data.image_size=8$'):
    check_fit('it', sized(8), spec)
  larger = r'give data.image_size=32, or data.image_size=8 and data.teacher_size=32$'
  with pytest.raises(UserError, match=larger):
    check_fit('it', sized(32), spec)
  arrays = dataclasses.replace(spec, format='')
  with pytest.raises(UserError, match=r'; give images of 32x32, or another bundle$'):
    check_fit('it', sized(32), arrays)


def test_what_is_padded_is_what_the_teacher_sees(dataset):
  spec = dataclasses.replace(dataset.spec, image_shape=(8, 8, 3), teacher_size=80, padding=10)
  assert Crops().fields(spec)['padding'] == 10
  with pytest.raises(UserError, match='padding is 81; images of .* allow 0 to 80'):
    Crops(padding=81).fields(spec)


def test_a_larger_teacher_must_be_a_bundle():
  config = default('', CIFAR100)
  config.data.name, config.data.image_size, config.data.teacher_size = 'cifar100', 32, 64
  with pytest.raises(UserError, match='data.teacher_size is 64, and no bundle holds the teacher'):
    check(config)
