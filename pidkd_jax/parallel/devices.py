"""One training on several devices: each batch is split over them, all else lies on every one.

Several trainings at once take a group of devices each, and no program of one has a device of
another. With several processes (`processes`) the devices are those of all of them, in one group.
Each process holds all data, but for those that are streamed, of which it reads what its own devices
take.

What is computed is defined on the whole batch (BatchNorm's statistics and a method's relations
between examples too), so their number changes results by rounding alone.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pidkd_jax.core.errors import UserError
from pidkd_jax.parallel import processes

_AXIS = 'data'
_SPLIT, _WHOLE = PartitionSpec(_AXIS), PartitionSpec()


@dataclasses.dataclass(frozen=True)
class DeviceGroup:
  """Devices that train together.

  Attributes:
    devices: no other group has one of them.
    first: whether it has the device where JAX makes what has no place of its own.
  """

  devices: tuple[jax.Device, ...]
  first: bool

  @contextlib.contextmanager
  def entered(self) -> Iterator[None]:
    """Within its context, which is of the calling thread, trainings run on these devices."""
    with contextlib.ExitStack() as stack:
      if not self.first:
        stack.enter_context(jax.default_device(self.devices[0]))
      if len(self.devices) > 1:
        mesh = jax.make_mesh(
          (len(self.devices),), (_AXIS,), devices=self.devices, axis_types=(AxisType.Auto,)
        )
        stack.enter_context(jax.set_mesh(mesh))
      yield


@contextlib.contextmanager
def use_devices(
  count: int, batch_sizes: Mapping[str, int], groups: int = 1
) -> Iterator[tuple[DeviceGroup, ...]]:
  """The first `count` devices in groups; within its context trainings run on the first group.

  Args:
    count: of devices; 0 is all of them.
    batch_sizes: {field: size} of the trainings to come.
    groups: of equal size.

  Raises:
    UserError: there are fewer devices, they do not make so many groups, or a batch cannot be split
      over those of a group evenly.
  """
  known = jax.devices()
  if count > len(known):
    raise UserError(f'devices is {count}; there {_are(len(known))}, and 0 takes all')
  if count and count < len(known) and processes.is_multiprocess():
    raise UserError(
      f'devices is {count}; {jax.process_count()} processes have {len(known)} and take all: 0'
    )
  used = known[: count or len(known)]
  if groups > 1 and processes.is_multiprocess():
    raise UserError(
      f'device_groups is {groups}; {jax.process_count()} processes train as one group: 1'
    )
  if len(used) % groups:
    ways = ' or '.join(str(ways) for ways in range(1, len(used) + 1) if len(used) % ways == 0)
    devices = f'{len(used)} devices make' if len(used) > 1 else 'one device makes'
    raise UserError(f'device_groups is {groups}; {devices} {ways} of equal size')
  size = len(used) // groups
  for field, batch_size in batch_sizes.items():
    _check(field, batch_size, size, groups)
  found = tuple(
    DeviceGroup(tuple(used[start : start + size]), first=start == 0)
    for start in range(0, len(used), size)
  )
  with found[0].entered():
    yield found


def _are(count: int) -> str:
  return f'are {count}' if count > 1 else 'is one'


def _check(field: str, size: int, count: int, groups: int) -> None:
  if size % count == 0:
    return
  below, above = size // count * count, -(-size // count) * count
  sizes = f'{below} or {above}' if below else f'{above}'
  fewer = [fewer for fewer in range(1, count) if size % fewer == 0]
  sharing = f'{count} devices' if groups == 1 else f'the {count} devices of a group'
  raise UserError(
    f'{field} is {size}, which {sharing} cannot share evenly; take {sizes}, or devices='
    f'{" or ".join(str(groups * each) for each in reversed(fewer))}'
  )


def count() -> int:
  """Devices of the trainings in this context."""
  return jax.sharding.get_abstract_mesh().size if _on_several() else 1


def shard_batch(tree: Any) -> Any:
  """Arrays [B, ...] in a traced function: each device has its part of the examples."""
  return _constrained(tree, _SPLIT)


def replicate(tree: Any) -> Any:
  """Arrays in a traced function: every device has all of them."""
  return _constrained(tree, _WHOLE)


def put_replicated(tree: Any) -> Any:
  """Arrays from the host onto every device."""
  if not _on_several():
    return jax.tree.map(jnp.asarray, tree)
  everywhere = NamedSharding(jax.sharding.get_mesh(), _WHOLE)
  if not processes.is_multiprocess():
    return jax.device_put(tree, everywhere)
  return jax.tree.map(functools.partial(_replicated, everywhere), tree)


def _replicated(everywhere: NamedSharding, leaf: Any) -> jax.Array:
  """An array of which every process has the same copy."""
  if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    implementation = jax.random.key_impl(leaf)
    data = _replicated(everywhere, jax.random.key_data(leaf))
    return jax.random.wrap_key_data(data, impl=implementation)
  host = np.asarray(leaf)
  return jax.make_array_from_callback(host.shape, everywhere, lambda index: host[index])


def local_indices(size: int) -> np.ndarray:
  """Which of a batch's `size` examples lie on this process's devices, int [n], for `put_sharded`."""
  index = np.arange(size)
  if not _on_several() or size % count():
    return index
  parts = _parts().addressable_devices_indices_map((size,)).values()
  return np.unique(np.concatenate([index[part] for part in parts]))


def put_sharded(images: np.ndarray, index: np.ndarray, size: int) -> jax.Array:
  """A batch from the host, each device with its part; whole where it cannot be split evenly.

  Args:
    images: [n, ...], those of `index`.
    index: what `local_indices` gives for `size`.
    size: of the whole batch.
  """
  if not _on_several() or size % count():
    return put_replicated(images)
  return jax.make_array_from_callback(
    (size, *images.shape[1:]),
    _parts(),
    lambda part: images[np.searchsorted(index, np.arange(size)[part[0]])],
  )


def _parts() -> NamedSharding:
  return NamedSharding(jax.sharding.get_mesh(), _SPLIT)


def _on_several() -> bool:
  return not jax.sharding.get_abstract_mesh().empty


def _constrained(tree: Any, spec: PartitionSpec) -> Any:
  return jax.lax.with_sharding_constraint(tree, spec) if _on_several() else tree
