"""Virtual CPU devices for programs that a test starts."""

import os

import jax


def use(count: int) -> None:
  """Give this process `count` CPU devices, before JAX has started.

  A device that waits for the others in a collective operation blocks a thread of XLA's pool. The
  pool has a thread for each device, and a program may have several collectives in flight. So a
  larger pool keeps one collective from waiting for the thread that another one holds.
  """
  os.environ['PJRT_NPROC'] = str(8 * count)
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', count)
