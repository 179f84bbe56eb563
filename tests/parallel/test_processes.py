"""What a single process can show; `test_devices.py` trains in two."""

from contextlib import nullcontext

import pytest

from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes


def test_a_single_process_is_primary_and_waits_for_none():
  assert processes.is_primary()
  assert not processes.is_multiprocess() and not processes.is_initialized()
  processes.barrier('here')
  assert processes.any_process(True, False) == [True, False]
  assert processes.minimum(3) == 3 and processes.agree(3)
  calls = []
  assert processes.primary_first('here', lambda x: calls.append(x) or x, 3) == 3
  assert calls == [3]


@pytest.mark.parametrize(
  'message, peer_failed',
  [
    ('UNKNOWN: Gloo AllGather failed: Read error: Connection reset by peer', True),
    ('INTERNAL: Barrier failed [type.googleapis.com/tensorflow.CoordinationServiceError]', True),
    ('shapes do not match', False),
  ],
)
def test_errors_of_other_processes_are_recognised(message, peer_failed, monkeypatch):
  assert not processes.is_peer_failure(ValueError(message))  # This process has joined no other.
  monkeypatch.setattr(processes, 'is_initialized', lambda: True)
  assert processes.is_peer_failure(ValueError(message)) is peer_failed


@pytest.mark.parametrize('count, index', [(0, -1), (2, -1), (2, 2), (0, 0)])
def test_processes_are_counted_from_zero(count, index):
  with pytest.raises(UserError, match=f'--process_id; they are {count} and {index}'):
    processes.initialize(False, 'localhost:1', count, index)


@pytest.mark.parametrize(
  'coordinator, message',
  [
    ('localhost:1', 'localhost:1 cannot be reached .*start process 0 there'),
    ('no.such.host.invalid:1', 'invalid:1 cannot be reached'),
  ],
)
def test_a_coordinator_that_does_not_answer_gives_one_line(coordinator, message, monkeypatch):
  monkeypatch.setattr(processes, '_JOIN_SECONDS', 0)
  with pytest.raises(UserError, match=message):
    processes.initialize(False, coordinator, 2, 1)


@pytest.mark.parametrize(
  'coordinator, address', [('[::1]:7', ('::1', 7)), ('localhost:7', ('localhost', 7))]
)
def test_a_coordinator_may_have_an_ipv6_address(coordinator, address, monkeypatch):
  """JAX takes it in brackets, and a socket without."""
  reached, joined = [], []
  monkeypatch.setattr(
    processes.socket, 'create_connection', lambda *args, **_: reached.append(*args) or nullcontext()
  )
  monkeypatch.setattr(
    processes.jax.distributed, 'initialize', lambda **kwargs: joined.append(kwargs)
  )
  processes.initialize(False, coordinator, 2, 1)
  assert reached == [address] and joined[0]['coordinator_address'] == coordinator


@pytest.mark.parametrize('index', [0, 1])
@pytest.mark.parametrize('coordinator', ['somewhere', ':1', 'localhost:', 'localhost:99999999'])
def test_every_process_checks_the_coordinators_address(coordinator, index):
  with pytest.raises(UserError, match=f'--coordinator={coordinator} is not HOST:PORT'):
    processes.initialize(False, coordinator, 2, index)


@pytest.mark.parametrize('autodetect', [False, True])
@pytest.mark.parametrize('count, index', [(2, -1), (0, 0)])
def test_numbers_without_a_coordinator_are_refused(autodetect, count, index):
  with pytest.raises(UserError, match=f'is {count} and --process_id is {index}; give'):
    processes.initialize(autodetect, '', count, index)


@pytest.mark.parametrize('other, same', [(3, True), (2, False), (4, False)])
def test_processes_agree_on_equal_values(other, same, monkeypatch):
  monkeypatch.setattr(
    processes, 'minimum', lambda value: min(value, other if value > 0 else -other)
  )
  assert processes.agree(3) is same


def test_without_autodetection_the_processes_must_be_named(monkeypatch):
  for name in ('SLURM_JOB_ID', 'OMPI_MCA_orte_hnp_uri', 'KUBERNETES_SERVICE_HOST'):
    monkeypatch.delenv(name, raising=False)
  with pytest.raises(UserError, match='give --coordinator=HOST:PORT'):
    processes.initialize(True, '', 0, -1)
