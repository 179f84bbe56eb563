"""A batch split over several devices, and a step for a TPU."""

import os
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax import devices
from pidkd_jax.errors import UserError
from pidkd_jax.training.cohort import Member, observe
from pidkd_jax.training.recipe import Numbers

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """What `spread.py` comes to on one device, on eight, and in two processes."""
  folder = tmp_path_factory.mktemp('spread')

  def start(devices, name, *together):
    return subprocess.Popen(
      [sys.executable, str(HERE / 'spread.py'), str(devices), f'{folder / name}.npz', *together],
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  def finish(*running):
    for process in running:
      said, _ = process.communicate(timeout=300)
      assert process.returncode == 0, said

  finish(start(1, 'one'))
  finish(start(8, 'eight'))
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = str(free.getsockname()[1])
  finish(*(start(1, f'process {index}', port, '2', str(index)) for index in (0, 1)))
  return {path.stem: dict(np.load(path)) for path in folder.iterdir()}


@pytest.mark.parametrize('name', ['eight', 'process 0', 'process 1'])
def test_several_devices_and_processes_train_as_one(trained, name):
  assert trained[name].keys() == trained['one'].keys()
  for path, alone in trained['one'].items():
    # A sum over examples is rounded in another order; small leaves are seen against their largest.
    atol = 1e-4 * max(np.abs(alone).max(), 1e-3)
    np.testing.assert_allclose(trained[name][path], alone, rtol=1e-4, atol=atol, err_msg=path)


def test_the_training_that_was_compared_moved(trained):
  losses = {path: loss for path, loss in trained['one'].items() if path.endswith("sums['loss']")}
  assert len(losses) == 3
  assert all(np.isfinite(loss) and loss > 1 for loss in losses.values())


@pytest.mark.parametrize(
  'size, message',
  [
    (50, 'batch_size is 50, which 8 devices cannot share evenly; take 48 or 56, or devices=5 or 2'),
    (7, 'batch_size is 7, which 8 devices cannot share evenly; take 8, or devices=7 or 1'),
  ],
)
def test_a_batch_that_does_not_divide_names_those_that_do(size, message, monkeypatch):
  monkeypatch.setattr(jax, 'devices', lambda: [object()] * 8)
  with pytest.raises(UserError, match=message), devices.spread(0, {'batch_size': size}):
    pass


def test_more_devices_than_there_are(monkeypatch):
  with (
    pytest.raises(UserError, match='devices is 3; there is one, and 0 takes all'),
    devices.spread(3, {}),
  ):
    pass


def test_one_device_is_left_to_jax():
  with devices.spread(0, {'batch_size': 5}):
    assert devices.count() == 1
    assert isinstance(devices.put(np.ones(3)).sharding, jax.sharding.SingleDeviceSharding)


@pytest.mark.parametrize('name', ['pidkd', 'crd', 'reviewkd'])
def test_a_step_lowers_for_tpus(name, assemble, batches, monkeypatch):
  """Lowered, in the formulations that are taken there, and not run: no TPU was at hand."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  jax.clear_caches()
  cohort = assemble(Member(name, 'plain:Plain', name, {}, Numbers(), 0))
  [state] = jax.eval_shape(type(cohort).init, cohort, batches[0]).values()

  def step(state, cohort, batch):
    teacher = observe(cohort.teacher, batch)
    return cohort.update(f'{name}-0', state, batch, teacher, jnp.int32(0))

  exported = jax.export.export(jax.jit(step), platforms=['tpu'])(state, cohort, batches[0])
  assert exported.platforms == ('tpu',)
  assert 'stablehlo.convolution' in exported.mlir_module()
