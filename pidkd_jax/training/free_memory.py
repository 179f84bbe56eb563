"""The memory that is free for a training, and the share of it that a dataset's images may take."""

from collections.abc import Callable, Mapping

import jax

from pidkd_jax.core import host_memory
from pidkd_jax.parallel import processes

MIB = 2**20

# The share of the free memory that a training may take. The rest is for what an estimate leaves out
# (`training.memory`) and for its error.
SHARE = 0.8

# The share of a training's memory that the images of both splits, uint8, may take. On CPU the
# training split lies in memory twice: as it was read, and as JAX holds it.
IMAGE_SHARE = 0.25


def available() -> int:
  """Return the bytes that a training may take: `SHARE` of what is free on the device.

  A device that does not count its memory, such as a CPU device, takes the host's. Processes on one
  host have equal parts of it.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return int(SHARE * (stats['bytes_limit'] - stats.get('bytes_in_use', 0)))
  return _of_host()


def capacity() -> int:
  """Return the bytes of a device, free or not; the least of all processes.

  Unlike `available` it is the same at every start. A device that does not count its memory takes
  the host's.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  size = stats.get('bytes_limit') or host_memory.installed() // processes.number_on_host()
  return processes.minimum(size // MIB) * MIB


def per_group(budget: int, groups: int) -> int:
  """Return the share of `budget` bytes for each of several groups of devices.

  Groups of CPU devices share the host's memory. Other devices have memory of their own.
  """
  return budget // groups if jax.default_backend() == 'cpu' else budget


def image_limit(budget: int | None = None) -> int:
  """Return the bytes of images, both splits together, above which a dataset is streamed.

  They are whole MiB, and the least of all processes, so that all stream or none does.

  Args:
    budget: bytes that a training may take; None for `available`.
  """
  budget = available() if budget is None else budget
  # The host holds the images before they are put onto another device.
  limit = IMAGE_SHARE * min(budget, _of_host())
  return processes.minimum(int(limit / MIB)) * MIB


def _of_host() -> int:
  """Return the bytes of the host that a training of this process may take."""
  return int(SHARE * host_memory.free() / processes.number_on_host())


# {data.streaming: function from the bytes that a training may take to the bytes of images above
# which a dataset is streamed, None for no limit}.
STREAMING: Mapping[str, Callable[[int], int | None]] = {
  'auto': image_limit,
  'always': lambda budget: 0,
  'never': lambda budget: None,
}
