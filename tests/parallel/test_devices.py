"""A batch sharded over devices, trainings on groups of devices, and a step lowered for TPUs."""

import json
import pathlib
import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pidkd_jax.bundles import bundle
from pidkd_jax.cli import app
from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import devices, preemption
from pidkd_jax.training import log
from pidkd_jax.training.member import Member
from pidkd_jax.training.recipe import OptimizerHparams
from pidkd_jax.training.step import observe

HERE = pathlib.Path(__file__).parents[1]


def test_arrays_of_the_host_are_put_without_a_program():
  compiled = []

  def listen(event, seconds, **notes):
    del seconds, notes
    compiled.append(event)

  value = np.arange(3 * 5 * 7, dtype=np.float32).reshape(3, 5, 7)
  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    put = devices.put_replicated({'a': value})['a']
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  assert isinstance(put, jax.Array)
  np.testing.assert_array_equal(put, value)
  assert not [event for event in compiled if 'compile' in event]


@pytest.mark.parametrize('axes', [('batch',), ('data',), ('data', 'model')])
def test_a_mesh_of_the_user_s_own_is_not_taken_for_ours(axes):
  with jax.set_mesh(jax.make_mesh((1,) * len(axes), axes)):
    assert devices.count() == 1
    value = jnp.ones((4, 2))
    for function in (devices.shard_batch, devices.replicate, devices.put_replicated):
      np.testing.assert_array_equal(function(value), value)


@pytest.fixture(scope='module')
def trained(forks, tmp_path_factory):
  """Return a function that gives the results of `sharded_training.py` by name."""
  folder = tmp_path_factory.mktemp('sharded')

  script = str(HERE / 'sharded_training.py')

  def start(counts, name, *others):
    return forks.start(script, [counts, str(folder / name), *others], folder, {}, patience=300)

  def start_two():
    with socket.socket() as free:
      free.bind(('localhost', 0))
      port = str(free.getsockname()[1])
    return [start('1', f'process {index}', port, '2', str(index)) for index in (0, 1)]

  starts = {'alone': lambda: [start('8,1', 'alone')], 'process': start_two}

  def trained(name):
    path = folder / f'{name}.npz'
    if not path.exists():
      for running in starts[name.partition('-')[0].partition(' ')[0]]():
        done = running.wait()
        assert done.returncode == 0, done.stderr
    return dict(np.load(path))

  return trained


@pytest.mark.parametrize('name', ['alone-8', 'process 0-1', 'process 1-1'])
def test_several_devices_and_processes_train_as_one(trained, name):
  single, several = trained('alone-1'), trained(name)
  # Several processes train one method.
  assert several.keys() <= single.keys()
  assert several.keys() == single.keys() or name != 'alone-8'
  for path in several:
    value = single[path]
    # Sums over examples round in another order. Errors count relative to a leaf's largest value.
    atol = 1e-4 * max(np.abs(value).max(), 1e-3)
    np.testing.assert_allclose(several[path], value, rtol=1e-4, atol=atol, err_msg=path)


def test_the_compared_training_has_finite_losses(trained):
  losses = {
    path: loss for path, loss in trained('alone-1').items() if path.endswith("sums['loss']")
  }
  assert len(losses) == 3
  assert all(np.isfinite(loss) and loss > 1 for loss in losses.values())


@pytest.fixture(scope='module')
def on_groups(forks, tmp_path_factory):
  """Return the folder of `grouped_training.py`, and its results."""
  home = tmp_path_factory.mktemp('groups')
  script = str(HERE / 'grouped_training.py')
  done = forks.run(script, [str(home)], home, {}, patience=600)
  assert done.returncode == 0, done.stderr
  return home, json.loads((home / 'results.json').read_text())


@pytest.mark.parametrize('size', [4, 1])
def test_groups_of_devices_give_bit_identical_students(on_groups, size):
  """After SIGTERM and a resume, they equal both members trained on the devices of one group."""
  home, results = on_groups
  message, status = results['stops'][str(size)]
  assert status == 143 and message.startswith(
    'stopped by SIGTERM; all groups of devices have saved'
  )
  for number in (0, 1):
    variables = pathlib.Path('bundles') / f'kd-{number}' / 'variables.npz'
    with (
      np.load(home / f'parted-{size}' / f'part-{number + 1}' / variables) as ours,
      np.load(home / f'whole-{size}' / variables) as theirs,
    ):
      assert ours.files == theirs.files
      assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs.files)


def test_the_programs_of_four_devices_are_compiled_once_and_before_their_calls(on_groups):
  _, results = on_groups
  names = ('order', 'batch', 'features_and_logits', 'init', 'update', '_normalise', '_logits')
  programs = {f'jit({name})' for name in names}
  ahead, by_calls = (results['compiled'][how] for how in ('ahead', 'by calls'))
  assert sorted(ahead) == sorted(programs)
  assert not programs & set(by_calls)


def test_no_state_and_no_program_spans_two_groups(on_groups):
  _, results = on_groups
  # Devices at the stop and at the end. The trainings on single devices were resumed by one group.
  assert results['states'] == {
    'parted-4/part-1': [[0, 1, 2, 3]] * 2,
    'parted-4/part-2': [[4, 5, 6, 7]] * 2,
    'whole-4': [[0, 1, 2, 3]],
    'parted-1/part-1': [[0], [0]],
    'parted-1/part-2': [[1], [0]],
    'whole-1': [[0]],
  }
  # The devices of all compiled programs.
  assert results['programs'] == [[0], [0, 1, 2, 3], [1], [4, 5, 6, 7]]


@pytest.mark.parametrize(
  'size, message',
  [
    (50, 'batch_size is 50, which 8 devices cannot share evenly; take 48 or 56, or devices=5 or 2'),
    (7, 'batch_size is 7, which 8 devices cannot share evenly; take 8, or devices=7 or 1'),
  ],
)
def test_an_uneven_batch_names_the_sizes_that_fit(size, message, monkeypatch):
  monkeypatch.setattr(jax, 'devices', lambda: [object()] * 8)
  with pytest.raises(UserError, match=message), devices.use_devices(0, {'batch_size': size}):
    pass


@pytest.mark.parametrize(
  'groups, size, message',
  [
    (3, 24, 'device_groups is 3; 8 devices make 1 or 2 or 4 or 8 of equal size'),
    (16, 64, 'device_groups is 16; 8 devices make'),
    (2, 50, 'which the 4 devices of a group cannot share evenly; take 48 or 52, or devices=4 or 2'),
  ],
)
def test_groups_are_of_equal_size(groups, size, message, monkeypatch):
  monkeypatch.setattr(jax, 'devices', lambda: [object()] * 8)
  with (
    pytest.raises(UserError, match=message),
    devices.use_devices(0, {'batch_size': size}, groups),
  ):
    pass


@pytest.mark.parametrize('count, together', [(None, False), (0, True)])
def test_no_number_of_devices_is_offered_where_none_can_be_given(count, together, monkeypatch):
  monkeypatch.setattr(jax, 'devices', lambda: [object()] * 8)
  monkeypatch.setattr(devices.processes, 'is_multiprocess', lambda: together)
  with (
    pytest.raises(UserError, match='cannot share evenly; take 48 or 56$'),
    devices.use_devices(count, {'batch_size': 50}),
  ):
    pass


def test_several_processes_form_one_group(monkeypatch):
  monkeypatch.setattr(devices.processes, 'is_multiprocess', lambda: True)
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  with (
    pytest.raises(UserError, match='device_groups is 2; 2 processes train as one group: 1'),
    devices.use_devices(0, {}, 2),
  ):
    pass


class Card:
  """A GPU of a machine of its own, as JAX describes it."""

  platform, device_kind, client = 'gpu', 'H100', None

  def __init__(self, machine):
    self.id = self.process_index = self.slice_index = machine


def test_gpus_of_several_machines_form_one_mesh():
  cards = tuple(Card(machine) for machine in range(3))
  with devices.DeviceGroup(cards, is_default=True).activate():
    assert devices.count() == 3
    assert tuple(jax.sharding.get_mesh().devices) == cards


def test_processes_connect_before_one_prepares_data(monkeypatch):
  met = []
  monkeypatch.setattr(devices.processes, 'connect', lambda: met.append('connected'))
  with devices.use_devices(1, {'batch_size': 4}):
    assert met == ['connected']


@pytest.fixture
def no_backend(monkeypatch):
  """Let JAX fail as it does for JAX_PLATFORMS=cuda where there is no GPU."""

  def fail(*_):
    raise AssertionError

  monkeypatch.setattr(jax, 'devices', fail)


def test_a_platform_that_is_not_there_is_one_line(no_backend, capsys, monkeypatch):
  with pytest.raises(UserError, match='JAX finds no device of the platform .*; set JAX_PLATFORMS'):
    with devices.use_devices(1, {}):
      pass

  def command():
    raise AssertionError  # Wherever the command asks JAX first.

  # A command's process has handlers of its own, which this one must not keep.
  monkeypatch.setattr(log, 'to_terminal', lambda **_: None)
  monkeypatch.setattr(preemption, 'raise_terminated', lambda: None)
  monkeypatch.setattr(jax.config, 'update', lambda *_: None)
  with pytest.raises(SystemExit) as end:
    app._guarded(command, 'pidkd')
  assert end.value.code == 1
  [line] = capsys.readouterr().err.splitlines()
  assert line.startswith('JAX finds no device of the platform')


def test_a_bundle_is_not_blamed_for_it(no_backend, tmp_path, teacher, monkeypatch):
  network = {'image_shape': (8, 8, 3), 'mean': [0.5] * 3, 'std': [0.25] * 3}
  bundle.save(tmp_path / 'b', teacher, {'dataset': {'name': None, 'class_names': None, **network}})
  monkeypatch.setattr(jax, 'eval_shape', jax.devices)
  with pytest.raises(UserError) as error:
    bundle.load(tmp_path / 'b')
  assert 'no device' in str(error.value) and 'bundle' not in str(error.value)


def test_more_devices_than_there_are():
  with (
    pytest.raises(UserError, match='devices is 3; there is one, and 0 takes all'),
    devices.use_devices(3, {}),
  ):
    pass


def test_a_single_device_needs_no_mesh():
  with devices.use_devices(0, {'batch_size': 5}):
    assert devices.count() == 1
    assert isinstance(
      devices.put_replicated(np.ones(3)).sharding, jax.sharding.SingleDeviceSharding
    )


@pytest.mark.parametrize('name', ['pidkd', 'crd', 'reviewkd'])
def test_a_step_lowers_for_tpus(name, assemble, batches, monkeypatch):
  """The step is lowered with the TPU's formulations of convolutions, but not run on a TPU."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  jax.clear_caches()
  cohort = assemble(Member(name, 'tests.plain:Plain', name, {}, OptimizerHparams(), 0))
  [state] = jax.eval_shape(type(cohort).init, cohort, batches[0]).values()

  def step(state, cohort, batch):
    teacher = observe(cohort.teacher, batch)
    return cohort.update(f'{name}-0', state, batch, teacher, jnp.int32(0))

  exported = jax.export.export(jax.jit(step), platforms=['tpu'])(state, cohort, batches[0])
  assert exported.platforms == ('tpu',)
  assert 'stablehlo.convolution' in exported.mlir_module()
