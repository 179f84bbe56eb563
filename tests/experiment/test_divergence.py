"""A member that diverges is left out, whenever that is found; the others do not notice."""

import json

import jax
import numpy as np
import pytest

from pidkd_jax.data import noise
from pidkd_jax.evaluation import inference
from pidkd_jax.experiment import result, run
from pidkd_jax.experiment.experiment import Experiment
from pidkd_jax.parallel import devices
from pidkd_jax.training import metrics
from pidkd_jax.training.execution import Execution
from pidkd_jax.training.member import Member
from pidkd_jax.training.outcome import Diverged
from pidkd_jax.training.recipe import OptimizerHparams, Recipe
from pidkd_jax.training.validation import Validation

pytestmark = pytest.mark.usefixtures('compiled_once')
DATA = noise.dataset(32, 8, 3)


def train(folder, *labels, epochs=2, **fields):
  """Train members with one step an epoch; 'bad' has a learning rate of 1e30."""
  rates = {'good': 0.05, 'bad': 1e30}
  members = tuple(
    Member(label, 'tests.plain:Plain', 'scratch', {}, OptimizerHparams(rates[label]), 0)
    for label in labels
  )
  recipe = Recipe(total_epochs=epochs, batch_size=24)
  experiment = Experiment(members, recipe, seed=0, padding=1, flip=True, **fields)
  groups = (devices.DeviceGroup(tuple(jax.devices()[:1]), True),)
  run.execute(experiment, DATA, None, folder, 'students', Execution(2**40, groups, 0.0))


@pytest.fixture(autouse=True)
def fragile(monkeypatch):
  """Give networks with huge variables logits that are not finite, as deeper ones have."""
  logits = inference.logits

  def fragile_logits(network, batches):
    leaves = jax.tree.leaves(network.variables)
    huge = any(np.abs(leaf).max() > 1e6 for leaf in leaves)
    return logits(network, batches) * (np.nan if huge else 1)

  monkeypatch.setattr(inference, 'logits', fragile_logits)


def variables(folder):
  with np.load(folder / 'bundles' / 'good-0' / 'variables.npz') as file:
    return {name: file[name].tobytes() for name in file.files}


def left_out(folder):
  return json.loads((folder / 'diverged.json').read_text())


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """Return the variables of the good member, trained without another."""
  folder = tmp_path_factory.mktemp('alone')
  train(folder, 'good')
  return variables(folder)


def test_logits_that_are_not_finite_leave_a_member_out(alone, tmp_path, caplog):
  train(tmp_path, 'bad', 'good')
  assert variables(tmp_path) == alone and left_out(tmp_path) == {'bad-0': 0}
  assert 'bad-0: its logits are not finite at step 0 (epoch 1); it is left out' in caplog.text
  assert {row['member'] for row in metrics.read(tmp_path)} == {'good-0'}


def test_a_restart_leaves_the_member_out_too(alone, tmp_path, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(result, 'judge', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      train(tmp_path, 'bad', 'good')
  assert not (tmp_path / 'bundles').exists()
  train(tmp_path, 'bad', 'good')
  assert variables(tmp_path) == alone and left_out(tmp_path) == {'bad-0': 0}
  train(tmp_path, 'bad', 'good')  # Complete, so it is left as it is.
  assert variables(tmp_path) == alone


def test_a_member_whose_test_logits_are_not_finite_is_left_out_at_the_end(tmp_path, monkeypatch):
  zeros = np.zeros((8, 3), np.float32)
  monkeypatch.setattr(Validation, 'logits', lambda *_: zeros)
  train(tmp_path, 'bad', 'good', epochs=1, holdout=0.25)
  assert left_out(tmp_path) == {'bad-0': 1}
  assert [path.name for path in (tmp_path / 'bundles').iterdir()] == ['good-0']


def test_a_part_without_a_finite_member_does_not_stop_the_others(alone, tmp_path):
  parts = {'parts': [['bad-0'], ['good-0']]}
  (tmp_path / 'parts.json').write_text(json.dumps(parts))
  for _ in range(2):
    train(tmp_path, 'bad', 'good')
    assert left_out(tmp_path / 'part-1') == {'bad-0': 0}
    assert variables(tmp_path / 'part-2') == alone


def test_without_a_finite_member_every_start_ends_in_one_line(tmp_path):
  for _ in range(2):
    with pytest.raises(Diverged, match=r'no member is finite .*bad-0 at step 0\); try a lower'):
      train(tmp_path, 'bad')
  assert not (tmp_path / 'bundles').exists()
