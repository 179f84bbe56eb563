"""Several processes that train as one, as on a TPU pod or on the nodes of a cluster.

Each process runs the same program and computes its share. Only the primary process writes the files
that others read, so all of them need a common file system.
"""

import socket
import time
import zlib
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from pidkd_jax.core.errors import UserError

# The other processes notice a lost one within this time, and end.
_HEARTBEAT_SECONDS = 30

# The services by which JAX's processes communicate, as errors name them: Gloo for collectives on
# CPUs, the coordination service for barriers.
_SERVICES = ('Gloo', 'CoordinationService')

# The other processes wait this long for the primary one to start.
_JOIN_SECONDS = 300

_number_on_host = 1


def initialize(autodetect: bool, coordinator: str, num_processes: int, process_id: int) -> None:
  """Join the other processes, if there are any. Call it before any other use of JAX.

  Args:
    autodetect: whether JAX is to detect the processes itself (Cloud TPU pods, Slurm, MPI).
    coordinator: HOST:PORT of process 0, or ''.
    num_processes: the number of processes; used with `coordinator`.
    process_id: the number of this process, from 0; used with `coordinator`.

  Raises:
    UserError: the processes cannot be detected or reached, or they are not named completely.
  """
  if coordinator and not 0 <= process_id < num_processes:
    raise UserError(
      f'--coordinator={coordinator} needs --num_processes and, below it, --process_id; they are '
      f'{num_processes} and {process_id}'
    )
  if not coordinator and (num_processes > 0 or process_id >= 0):
    raise UserError(
      f'--num_processes is {num_processes} and --process_id is {process_id}; give '
      '--coordinator=HOST:PORT as well, or leave them out'
    )
  if not (autodetect or coordinator):
    return
  settings = {}
  if coordinator:
    host, port = _address(coordinator)
    if process_id:  # JAX would abort where the coordinator does not answer.
      _wait_for(host, port)
    settings = {
      'coordinator_address': coordinator,
      'num_processes': num_processes,
      'process_id': process_id,
    }
  try:
    jax.distributed.initialize(**settings, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS)
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f'the other processes cannot be joined ({" ".join(str(error).split())[:200]}); give '
      '--coordinator=HOST:PORT, --num_processes and --process_id'
    ) from error


def _address(coordinator: str) -> tuple[str, int]:
  """Return host and port. JAX would split the text without looking."""
  host, _, port = coordinator.rpartition(':')
  if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
    raise UserError(f'--coordinator={coordinator} is not HOST:PORT, with a port from 1 to 65535')
  return host, int(port)


def _wait_for(host: str, port: int) -> None:
  """Return when the coordinator answers."""
  deadline = time.monotonic() + _JOIN_SECONDS
  while True:
    try:
      # A socket takes an IPv6 address without its brackets.
      with socket.create_connection((host.strip('[]'), port), timeout=5):
        return
    except OSError as error:
      if time.monotonic() > deadline or isinstance(error, socket.gaierror):
        raise UserError(
          f'--coordinator={host}:{port} cannot be reached ({error}); start process 0 there, or '
          'correct the address'
        ) from error
    time.sleep(1)


def is_initialized() -> bool:
  """Return whether this process has joined others, without starting a backend."""
  return jax.distributed.is_initialized()


def is_peer_failure(error: Exception) -> bool:
  """Return whether an error says that another process failed in a collective or a barrier."""
  return is_initialized() and any(name in str(error) for name in _SERVICES)


def is_multiprocess() -> bool:
  """Return whether several processes train as one."""
  return is_initialized() and jax.process_count() > 1


def is_primary() -> bool:
  """Return whether this process is the one that writes."""
  return not is_multiprocess() or jax.process_index() == 0


def connect() -> None:
  """Connect to all processes, and count those on this machine (`number_on_host`).

  Connecting has a time limit. So it comes before one process prepares data and the others wait.
  """
  global _number_on_host
  if is_multiprocess():
    own = zlib.crc32(socket.gethostname().encode()) >> 1  # It fits into int32.
    hosts = multihost_utils.process_allgather(np.array(own, np.int32))
    _number_on_host = int((hosts == own).sum())


def number_on_host() -> int:
  """Return how many of the processes share this machine's memory; 1 before `connect`."""
  return _number_on_host


def barrier(name: str) -> None:
  """Return when every process has reached the barrier of this name."""
  if is_multiprocess():
    multihost_utils.sync_global_devices(name)


def primary_first(name: str, function: Callable, /, *args, **kwargs):
  """Call a function in the primary process, and after that in the others.

  Args:
    name: of the barrier between the two.
    function: the function.
    *args: its arguments.
    **kwargs: its keyword arguments.

  Returns:
    Its result in this process.
  """
  if not is_primary():
    barrier(name)
    return function(*args, **kwargs)
  result = function(*args, **kwargs)
  barrier(name)
  return result


def minimum(value: int) -> int:
  """Return the smallest value of all processes, in every process; it must fit into int32."""
  if not is_multiprocess():
    return value
  return int(multihost_utils.process_allgather(np.array(value, np.int32)).min())


def agree(value: int) -> bool:
  """Return, in every process, whether all have the same value; it must fit into int32."""
  return minimum(value) == -minimum(-value)


def any_process(*flags: bool) -> list[bool]:
  """Return, in every process, which flags at least one process has set."""
  if not is_multiprocess():
    return list(flags)
  return multihost_utils.process_allgather(np.array(flags)).any(axis=0).tolist()
