"""Files of version 0.1.0: bundles load, a kept teacher is found, a run is reported or resumed.

version_0_1_0/ is what that version left of a run of two epochs on the digits, less figures, events
and the last checkpoint, and the teacher that it kept.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest

import pidkd_jax as kd
from pidkd_jax.experiment import finished, job, run, saved_config
from pidkd_jax.report import run_report
from pidkd_jax.training import checkpoint, loop

FILES = pathlib.Path(__file__).with_name('version_0_1_0')
BUNDLES = sorted((FILES / 'finished' / 'bundles').iterdir())


@pytest.fixture(scope='module')
def tfds(tmp_path_factory):
  return tmp_path_factory.mktemp('tfds')


@pytest.fixture
def folder(tmp_path):
  """The folder of the run, copied, with its teacher beside it."""
  shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
  return tmp_path / 'finished'


@pytest.fixture
def config(folder, tfds):
  config = saved_config.get_config(str(folder / 'config.json'))
  config.data.dir = str(tfds)
  return config


def variables(bundle):
  with np.load(bundle / 'variables.npz') as file:
    return dict(file)


@pytest.mark.parametrize('path', BUNDLES, ids=lambda path: path.name)
def test_a_bundle_loads_and_predicts_as_it_did(path, tfds):
  network = kd.load(path)
  data = kd.data.load('digits', directory=str(tfds))
  predicted = network.predict(data.test.images).argmax(axis=1)
  assert np.mean(predicted == data.test.labels) == network.metrics['top1']


def test_a_finished_run_is_reported_and_nothing_is_trained(folder, config, monkeypatch):
  monkeypatch.setattr(run, '_train', lambda *_: pytest.fail('it trained again'))
  report = job.main(config, str(folder))
  top1 = json.loads((folder / 'bundles' / 'pidkd-0' / 'card.json').read_text())['results']['top1']
  assert f'{100 * top1:.2f}' in report
  # The next start need not even look at the data.
  assert str(finished.summary(config, str(folder))) == report


def test_an_interrupted_run_resumes_and_its_kept_teacher_teaches(folder, config, monkeypatch):
  monkeypatch.setattr(run_report, '_FIGURES', {})
  expected = {path.name: variables(path) for path in BUNDLES}
  for name in ('bundles', 'outputs'):
    shutil.rmtree(folder / name)
  teachers = set((folder.parent / 'teachers').iterdir())
  job.main(config, str(folder))
  assert set((folder.parent / 'teachers').iterdir()) == teachers
  rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  assert sorted(row['step'] for row in rows) == [10, 10, 20, 20]
  for name, arrays in expected.items():
    resumed = variables(folder / 'bundles' / name)
    assert resumed.keys() == arrays.keys()
    for path, array in arrays.items():
      # One step is taken again, on any number of cores.
      np.testing.assert_allclose(resumed[path], array, rtol=1e-4, atol=1e-5, err_msg=path)
  # Its cards have the fields' new names.
  member = json.loads((folder / 'bundles' / 'pidkd-0' / 'card.json').read_text())['training']
  assert member['member']['optimizer'] == {'learning_rate': 0.05, 'weight_decay': 0.0005}


def test_a_checkpoint_with_an_altered_array_is_still_refused(folder, config, monkeypatch):
  shutil.rmtree(folder / 'bundles')
  monkeypatch.setattr(checkpoint, '_EARLIER_NAMES', {})
  monkeypatch.setattr(loop, 'compile_all', lambda *_: None)  # Nothing will be trained.
  with pytest.raises(kd.UserError, match='none of the checkpoints'):
    job.main(config, str(folder))
