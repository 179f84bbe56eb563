"""Writers of metrics: each step once, and no writer ends a training."""

import importlib.util
import json
import logging

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.training import metrics, writers
from pidkd_jax.training.metrics import MetricsLog
from pidkd_jax.training.writers import ChosenWriters, catalog
from tests.training.toy_writer import Broken, Toy

MEMBERS = {'kd-0': {'method': 'kd', 'trial': 0}}
CONFIGURATION = {'student': 'resnet8', 'teacher': {'model': 'resnet14'}}


@pytest.fixture(autouse=True)
def toys(monkeypatch):
  """Offer two writers of our own, and forget what an earlier test wrote."""
  monkeypatch.setitem(catalog.writers(), 'toy', Toy)
  monkeypatch.setitem(catalog.writers(), 'broken', Broken)
  monkeypatch.setattr(Toy, 'calls', [])


@pytest.fixture
def run(tmp_path):
  """Return the folder of a run."""
  folder = tmp_path / 'digits'
  folder.mkdir()
  (folder / 'config.json').write_text(json.dumps(CONFIGURATION))
  return folder


def train(folder, names, step, *steps, complete=True):
  """Write metrics from one step to others, as a training that goes on at `step` does."""
  try:
    with ChosenWriters(names, metrics.describe(folder, MEMBERS)) as chosen:
      log = MetricsLog(folder, step, chosen)
      for one in steps:
        row = {'step': one, 'epoch': one // 10, 'member': 'kd-0', 'train_loss': 1 / one}
        log.write([row], {'test_top1': 0.75})
      log.close()
      if not complete:
        raise KeyboardInterrupt
      chosen.summarise({'kd-0': {'top1': 0.5}})
  except KeyboardInterrupt:
    pass


def of(kind):
  return [call[1:] for call in Toy.calls if call[0] == kind]


def test_a_writer_gets_all_of_a_training(run):
  train(run, ['toy'], 0, 10, 20)
  assert of('open') == [('digits', MEMBERS)]
  assert of('row') == [('kd-0', 10), ('teacher', 10), ('kd-0', 20), ('teacher', 20)]
  assert Toy.calls[-2:] == [('results', {'kd-0': {'top1': 0.5}}), ('close', True)]


def test_a_part_is_named_by_its_run(run):
  (run / 'parts.json').write_text('{}')
  (run / 'part-1').mkdir()
  described = metrics.describe(run / 'part-1', {})
  assert (described.name, described.configuration) == ('digits', CONFIGURATION)


def test_a_resume_sends_no_step_twice(run):
  train(run, ['toy'], 0, 10, 20, 30, complete=False)
  assert Toy.calls[-1] == ('close', False)
  train(run, ['toy'], 20, 30, 40)  # Step 30 came after the last checkpoint.
  assert [step for member, step in of('row') if member == 'kd-0'] == [10, 20, 30, 40]
  assert not list((run / 'writers').glob('*.partial'))


def test_a_writer_that_is_chosen_late_gets_the_earlier_rows(run):
  train(run, [], 0, 10, 20)
  train(run, ['toy'], 20, 30)
  assert [step for member, step in of('row') if member == 'kd-0'] == [10, 20, 30]


@pytest.mark.parametrize('ledger', ['{"kd-0": 1}', '[', '{"kd-0": {"id": "a", "step": "x"}}'])
def test_a_damaged_ledger_costs_the_writer_alone(run, ledger, caplog):
  (run / 'writers').mkdir()
  (run / 'writers' / 'toy.json').write_text(ledger)
  train(run, ['toy'], 0, 10)
  assert Toy.calls == [] and len(metrics.read(run)) == 1
  assert caplog.text.count('toy writes no more') == 1


def test_a_writer_that_fails_is_dropped_with_one_warning(run, caplog):
  with caplog.at_level(logging.WARNING):
    train(run, ['broken', 'toy'], 0, 10, 20)
  [record] = caplog.records
  assert record.getMessage() == (
    'broken writes no more: no route to host; the training goes on, and metrics.jsonl has all rows'
  )
  assert [row['step'] for row in metrics.read(run)] == [10, 20]
  assert len(of('row')) == 4 and Toy.calls[-1] == ('close', True)


def test_what_cannot_write_is_refused_before_training(monkeypatch):
  writers.check([])
  writers.check(['toy'])
  with pytest.raises(UserError, match="unknown writer 'wandbb'; did you mean 'wandb'"):
    writers.check(['wandbb'])
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  for name in ('mlflow', 'wandb'):
    with pytest.raises(UserError) as refused:
      writers.check([name])
    assert str(refused.value) == (
      f"the writer '{name}' needs {name}: pip install 'pidkd_jax[{name}]'"
    )


def test_mlflow_keeps_each_step_and_the_configuration_once(run, monkeypatch):
  tracking = pytest.importorskip('mlflow.tracking', reason="pip install '.[mlflow]'")
  monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
  monkeypatch.setenv('MLFLOW_TRACKING_URI', f'file:{run}/mlruns')
  monkeypatch.setenv('MLFLOW_EXPERIMENT_NAME', 'toys')
  writers.check(['mlflow'])
  client = tracking.MlflowClient()

  def found():
    experiment = client.get_experiment_by_name('toys')
    return {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}

  train(run, ['mlflow'], 0, 10, 20, 30, complete=False)
  assert {one.info.status for one in found().values()} == {'KILLED'}
  train(run, ['mlflow'], 20, 30, 40)
  assert set(found()) == {'digits/kd-0', 'digits/teacher'}
  member = found()['digits/kd-0']
  assert member.info.status == 'FINISHED'
  assert member.data.metrics['final_top1'] == 0.5
  assert member.data.params['teacher.model'] == 'resnet14'
  assert member.data.params['member.method'] == 'kd'
  history = client.get_metric_history(member.info.run_id, 'train_loss')
  assert [(one.step, one.value) for one in history] == [(s, 1 / s) for s in (10, 20, 30, 40)]


def test_mlflow_without_a_store_that_it_can_use_is_refused(monkeypatch):
  pytest.importorskip('mlflow', reason="pip install '.[mlflow]'")
  monkeypatch.setenv('MLFLOW_TRACKING_URI', 'nonsense://place')
  with pytest.raises(UserError, match="'mlflow' cannot use nonsense://place: .*MLFLOW_TRACKING"):
    writers.check(['mlflow'])


def test_wandb_goes_on_in_the_same_run(run, monkeypatch, capfd):
  pytest.importorskip('wandb', reason="pip install '.[wandb]'")
  monkeypatch.setenv('WANDB_MODE', 'offline')
  writers.check(['wandb'])
  train(run, ['wandb'], 0, 10, 20, complete=False)
  train(run, ['wandb'], 20, 30)
  ledger = json.loads((run / 'writers' / 'wandb.json').read_text())
  assert {member: entry['step'] for member, entry in ledger.items()} == {'kd-0': 30, 'teacher': 30}
  files = sorted((run / 'wandb').glob(f'offline-run-*-{ledger["kd-0"]["id"]}/*.wandb'))
  assert len(files) == 2
  first, second = (file.read_bytes() for file in files)
  assert b'resnet14' in first and b'final_top1' not in first
  assert b'resnet14' not in second and b'final_top1' in second
  assert capfd.readouterr() == ('', '')  # The terminal belongs to the training.


def test_wandb_without_a_key_is_refused(monkeypatch, tmp_path):
  wandb = pytest.importorskip('wandb', reason="pip install '.[wandb]'")
  wandb.teardown()  # It read its variables when it was first used.
  monkeypatch.setenv('WANDB_MODE', 'online')
  monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
  monkeypatch.delenv('WANDB_API_KEY', raising=False)
  with pytest.raises(UserError, match="'wandb' cannot log in: it has no API key; run `wandb login"):
    writers.check(['wandb'])
