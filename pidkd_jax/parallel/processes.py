"""Several processes that train as one, as on a TPU pod or on the nodes of a cluster.

Each runs the same program and computes its part; the first one alone writes what others read. They
need a common file system.
"""

import socket
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from pidkd_jax.core.errors import UserError

# A process that is lost is noticed by the others within this time, which ends them.
_HEARTBEAT_SECONDS = 30

# What JAX's processes talk through, as it names them in errors: collectives on CPUs, barriers.
_TALKERS = ('Gloo', 'CoordinationService')

# So long the others wait for the first one to begin.
_JOIN_SECONDS = 300


def initialize(recognised: bool, coordinator: str, count: int, index: int) -> None:
  """Joins the other processes, if there are any; before JAX is used otherwise.

  Args:
    recognised: whether JAX is to find them by itself (Cloud TPU pods, Slurm, MPI).
    coordinator: HOST:PORT of the first process, or ''.
    count: of processes; with `coordinator`.
    index: of this one, from 0 on; likewise.

  Raises:
    UserError: they cannot be told or reached.
  """
  if coordinator and not 0 <= index < count:
    raise UserError(
      f'--coordinator={coordinator} needs --num_processes and, below it, --process_id; they are '
      f'{count} and {index}'
    )
  if not (recognised or coordinator):
    return
  given = {}
  if coordinator:
    if index:  # JAX would end in an abort.
      _await(coordinator)
    given = {'coordinator_address': coordinator, 'num_processes': count, 'process_id': index}
  try:
    jax.distributed.initialize(**given, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS)
  except (ValueError, RuntimeError) as error:
    raise UserError(
      f'the other processes cannot be joined ({" ".join(str(error).split())[:200]}); give '
      '--coordinator=HOST:PORT, --num_processes and --process_id'
    ) from error


def _await(coordinator: str) -> None:
  """Returns when the coordinator answers."""
  host, _, port = coordinator.rpartition(':')
  if not host or not port.isdigit():
    raise UserError(f'--coordinator={coordinator} is not HOST:PORT')
  deadline = time.monotonic() + _JOIN_SECONDS
  while True:
    try:
      with socket.create_connection((host, int(port)), timeout=5):
        return
    except (OSError, OverflowError) as error:
      if time.monotonic() > deadline or isinstance(error, socket.gaierror | OverflowError):
        raise UserError(
          f'--coordinator={coordinator} cannot be reached ({error}); start process 0 there, or '
          'correct the address'
        ) from error
    time.sleep(1)


def is_initialized() -> bool:
  """Whether there are others; asking does not start a backend."""
  return jax.distributed.is_initialized()


def is_peer_failure(error: Exception) -> bool:
  """Whether an error says that another process does not answer, in a collective or a barrier."""
  return is_initialized() and any(name in str(error) for name in _TALKERS)


def is_multiprocess() -> bool:
  return is_initialized() and jax.process_count() > 1


def is_primary() -> bool:
  """Whether this process is the one that writes."""
  return not is_multiprocess() or jax.process_index() == 0


def barrier(where: str) -> None:
  """Returns when every process has come to this place."""
  if is_multiprocess():
    multihost_utils.sync_global_devices(where)


def primary_first(where: str, function: Callable, *args, **kwargs):
  """Calls a function in the first process, and when that is done in the others."""
  if is_primary():
    result = function(*args, **kwargs)
  barrier(where)
  return result if is_primary() else function(*args, **kwargs)


def minimum(mebibytes: int) -> int:
  """The smallest of the numbers of all processes, in every process."""
  if not is_multiprocess():
    return mebibytes
  return int(multihost_utils.process_allgather(np.array(mebibytes, np.int32)).min())


def any_process(*said: bool) -> list[bool]:
  """What at least one process says, in every process."""
  if not is_multiprocess():
    return list(said)
  return multihost_utils.process_allgather(np.array(said)).any(axis=0).tolist()
