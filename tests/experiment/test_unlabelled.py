"""Students whose loss reads no label train on images without labels."""

import dataclasses
import json
import logging
import signal

import jax
import numpy as np
import pytest

from pidkd_jax.core.errors import Stopped, UserError
from pidkd_jax.data import noise
from pidkd_jax.data.dataset import Unlabelled
from pidkd_jax.experiment import assembly, check, run
from pidkd_jax.experiment import config as configuration
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.progress import Progress
from pidkd_jax.training.recipe import OptimizerHparams, Recipe

pytestmark = pytest.mark.usefixtures('compiled_once')
DATA = noise.dataset(32, 8, 3)
MORE = noise.dataset(48, 8, 3).train.take(np.arange(32, 48))
ADDED = dataclasses.replace(
  DATA, unlabelled=Unlabelled(MORE.relabelled(np.full(16, -1, np.int32)), 'digest')
)


def experiment(*methods, **fields):
  members = tuple(
    Member(method, 'tests.plain:Plain', method, {}, OptimizerHparams(), 0) for method in methods
  )
  recipe = Recipe(total_epochs=2, batch_size=16)
  return Experiment(members, recipe, seed=0, padding=1, flip=True, **fields)


def test_an_epoch_goes_through_all_images(taught, caplog):
  assert len(assembly.assemble(experiment('simkd'), DATA, taught.network).dataset.train) == 32
  added = assembly.assemble(experiment('simkd'), ADDED, taught.network)
  assert (len(added.dataset.train), added.unlabelled) == (48, 16)
  assert added.cohort.learners[0].optimizer.total_steps == 2 * 3
  # Images with labels that select an epoch, or are few, are chosen before the others join.
  chosen = experiment('simkd', holdout=0.25, shots=3, rest=True)
  both = assembly.assemble(chosen, ADDED, taught.network)
  assert len(both.dataset.train) + len(both.held_out) == 48
  assert both.unlabelled == 48 - len(both.held_out) - 9 and (both.held_out.labels >= 0).all()
  with caplog.at_level(logging.INFO, 'pidkd_jax'):
    assembly.dry_run(experiment('simkd'), ADDED, taught.network)
  assert 'train on 32 images with labels, which they do not read, and 16 without' in caplog.text
  assert 'an epoch goes through both, in 3 steps' in caplog.text


def test_methods_that_read_labels_are_refused_by_name(taught):
  everyone = experiment('pidkd', 'kd_1_1', 'scratch')
  message = '^kd_1_1, scratch cannot train on unlabelled .*that read none: linear, pidkd,.* simkd'
  for dataset, chosen in (
    (ADDED, everyone),
    (DATA, dataclasses.replace(everyone, shots=3, rest=True)),
  ):
    with pytest.raises(UserError, match=message):
      assembly.assemble(chosen, dataset, taught.network)
  assembly.assemble(everyone, ADDED.labelled, taught.network)


def test_a_rest_needs_shots():
  config = configuration.default('pidkd')
  config.student = config.teacher.model = 'resnet8'
  config.data.unlabelled = 'rest'
  with pytest.raises(UserError, match="data.unlabelled is 'rest', and data.shots is 0"):
    check.check(config)
  config.data.shots = 5
  check.check(config)


def test_a_stopped_run_goes_on_exactly_and_with_the_same_images_only(taught, tmp_path, monkeypatch):
  execution = Execution(2**40, (devices.DeviceGroup(tuple(jax.devices()[:1]), True),))

  def variables(folder):
    with np.load(folder / 'bundles' / 'simkd-0' / 'variables.npz') as file:
      return {name: file[name] for name in file.files}

  def train(name, dataset=ADDED):
    folder = tmp_path / name
    run.execute(experiment('simkd'), dataset, taught, folder, 'students', execution)
    return folder

  advance = Progress.advance

  def stop(*args, **kwargs):
    signal.raise_signal(signal.SIGTERM)
    return advance(*args, **kwargs)

  whole = train('whole')
  with monkeypatch.context() as patched:
    patched.setattr(Progress, 'advance', stop)
    with pytest.raises(Stopped):
      train('stopped')
  resumed = variables(train('stopped'))
  for name, value in variables(whole).items():
    np.testing.assert_array_equal(resumed[name], value)
  card = json.loads((whole / 'bundles' / 'simkd-0' / 'card.json').read_text())
  assert card['training']['unlabelled'] == {'images': 16, 'fingerprint': 'digest'}
  other = dataclasses.replace(ADDED.unlabelled, fingerprint='another')
  with pytest.raises(UserError, match="unlabelled = 'digest' and not 'another'"):
    train('whole', dataclasses.replace(ADDED, unlabelled=other))
  with pytest.raises(UserError, match="unlabelled = 'digest' and not None"):
    train('whole', DATA)
