"""Train on several devices: each batch is sharded over them, and all else is replicated.

- Several trainings at once take one group of devices each. No program of one group uses a device of
  another.
- With several processes (`processes`), the devices of all of them form one group.
- Every process holds all data. Where data are streamed, it reads only the examples of its own
  devices.

All results are defined on the whole batch, including BatchNorm's statistics and relations between
examples. So the number of devices changes results only by rounding.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pidkd_jax.core.errors import UserError, first_line
from pidkd_jax.parallel import processes

# A mesh of the user's own has no axis of this name, and is none of ours.
_AXIS = 'pidkd_data'
_SHARDED, _REPLICATED = PartitionSpec(_AXIS), PartitionSpec()


def require_backend() -> None:
  """Raise UserError where JAX cannot use the platform that the user asked for."""
  try:
    jax.devices()
  except (RuntimeError, AssertionError) as error:  # An AssertionError without a text for 'cuda'.
    # JAX makes its options attributes at run time.
    asked = getattr(jax.config, 'jax_platforms') or 'its default'  # noqa: B009
    reason = f' ({first_line(error)})' if str(error) else ''
    raise UserError(
      f'JAX finds no device of the platform {asked!r}{reason}; set JAX_PLATFORMS to one that this '
      'machine has, e.g. cpu, or leave it out'
    ) from error


@dataclasses.dataclass(frozen=True)
class DeviceGroup:
  """Devices that train together.

  Attributes:
    devices: the devices; no two groups share one.
    is_default: whether the group has JAX's default device.
  """

  devices: tuple[jax.Device, ...]  # pyright: ignore[reportInvalidTypeForm]
  is_default: bool

  @contextlib.contextmanager
  def activate(self) -> Iterator[None]:
    """Run trainings of the calling thread on these devices, within the context."""
    with contextlib.ExitStack() as stack:
      if not self.is_default:
        stack.enter_context(jax.default_device(self.devices[0]))
      if len(self.devices) > 1:
        # `jax.make_mesh` takes no GPUs of several machines, and no TPU chips that are no cuboid.
        mesh = Mesh(np.array(self.devices), (_AXIS,), axis_types=(AxisType.Auto,))
        stack.enter_context(jax.set_mesh(mesh))
      yield


@contextlib.contextmanager
def use_devices(
  count: int | None, batch_sizes: Mapping[str, int], groups: int = 1
) -> Iterator[tuple[DeviceGroup, ...]]:
  """Divide the first `count` devices into groups, and train on the first group within the context.

  Args:
    count: the number of devices; 0 for all of them; None for all where the user has no choice.
    batch_sizes: {name of the config's field: size} of the trainings to come.
    groups: the number of groups, all of equal size.

  Yields:
    The groups.

  Raises:
    UserError: there are fewer devices, they do not form so many groups, or the devices of a group
      cannot share a batch evenly.

  Example:
    >>> with use_devices(1, {'batch_size': 64}) as groups:
    ...   len(groups), count()
    (1, 1)
  """
  require_backend()
  available = jax.devices()
  may_choose = count is not None and not processes.is_multiprocess()
  count = count or 0
  if count > len(available):
    number = f'are {len(available)}' if len(available) > 1 else 'is one'
    raise UserError(f'devices is {count}; there {number}, and 0 takes all')
  if count and count < len(available) and processes.is_multiprocess():
    raise UserError(
      f'devices is {count}; {jax.process_count()} processes have {len(available)} and take all: 0'
    )
  used = available[: count or len(available)]
  if groups > 1 and processes.is_multiprocess():
    raise UserError(
      f'device_groups is {groups}; {jax.process_count()} processes train as one group: 1'
    )
  if len(used) % groups:
    divisors = ' or '.join(str(n) for n in range(1, len(used) + 1) if len(used) % n == 0)
    devices = f'{len(used)} devices make' if len(used) > 1 else 'one device makes'
    raise UserError(f'device_groups is {groups}; {devices} {divisors} of equal size')
  size = len(used) // groups
  for field, batch_size in batch_sizes.items():
    _check_batch(field, batch_size, size, groups, may_choose)
  processes.connect()
  device_groups = tuple(
    DeviceGroup(tuple(used[start : start + size]), is_default=start == 0)
    for start in range(0, len(used), size)
  )
  with device_groups[0].activate():
    yield device_groups


def _check_batch(field: str, batch_size: int, devices: int, groups: int, may_choose: bool) -> None:
  if batch_size % devices == 0:
    return
  below, above = batch_size // devices * devices, -(-batch_size // devices) * devices
  sizes = f'{below} or {above}' if below else f'{above}'
  divisors = [str(groups * n) for n in reversed(range(1, devices)) if batch_size % n == 0]
  other = f', or devices={" or ".join(divisors)}' if may_choose else ''
  sharing = f'{devices} devices' if groups == 1 else f'the {devices} devices of a group'
  raise UserError(
    f'{field} is {batch_size}, which {sharing} cannot share evenly; take {sizes}{other}'
  )


def count() -> int:
  """Return the number of devices that a training in this context uses."""
  return jax.sharding.get_abstract_mesh().shape[_AXIS] if _has_mesh() else 1


def shard_batch(tree: Any) -> Any:
  """Shard arrays [B, ...] of a traced function over the devices, along the first axis."""
  return _constrain(tree, _SHARDED)


def join_batches(tree: Any) -> Any:
  """Join batches of a traced function, [k, B, ...] -> [k * B, ...].

  Every example stays on its device, so the examples are in another order where there are several.
  `split_batches` restores it.
  """
  shards = count()

  def join(x):
    number, size = x.shape[:2]
    x = x.reshape(number, shards, size // shards, *x.shape[2:])
    return x.swapaxes(0, 1).reshape(number * size, *x.shape[3:])

  return shard_batch(jax.tree.map(join, tree))


def split_batches(tree: Any, number: int) -> Any:
  """Undo `join_batches` of k = `number` batches, [k * B, ...] -> [k, B, ...]."""
  shards = count()

  def split(x):
    x = x.reshape(shards, number, -1, *x.shape[1:])
    return x.swapaxes(0, 1).reshape(number, -1, *x.shape[3:])

  return _constrain(jax.tree.map(split, tree), PartitionSpec(None, _AXIS))


def parts_of_batch(tree: Any, number: int) -> Any:
  """Divide a batch of a traced function, [B, ...] -> [n, B / n, ...] for n = `number`.

  A part has every n-th example. So it is the same for any number of devices, and every example
  stays on its device. B is a multiple of n times that number.
  """

  def divide(x):
    return x.reshape(-1, number, *x.shape[1:]).swapaxes(0, 1)

  return _constrain(jax.tree.map(divide, tree), PartitionSpec(None, _AXIS))


def replicate(tree: Any) -> Any:
  """Replicate arrays of a traced function on every device."""
  return _constrain(tree, _REPLICATED)


def replicated_shapes(tree: Any) -> Any:
  """Return arrays or shapes as shapes of what `replicate` gives, to lower a program for it."""
  return _placed_shapes(tree, _REPLICATED)


def sharded_shapes(tree: Any) -> Any:
  """Return arrays or shapes as shapes of what `shard_batch` gives, to lower a program for it."""
  return _placed_shapes(tree, _SHARDED)


def _placed_shapes(tree: Any, spec: PartitionSpec) -> Any:
  if not _has_mesh():
    return tree
  sharding = NamedSharding(jax.sharding.get_mesh(), spec)

  def placed(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

  return jax.tree.map(placed, tree)


def put_replicated(tree: Any) -> Any:
  """Put arrays from the host onto every device."""
  if not _has_mesh():
    return jax.device_put(tree)  # `jnp.asarray` would compile a program for each shape.
  sharding = NamedSharding(jax.sharding.get_mesh(), _REPLICATED)
  if not processes.is_multiprocess():
    return jax.device_put(tree, sharding)
  return jax.tree.map(functools.partial(_put_own_copy, sharding), tree)


def _put_own_copy(sharding: NamedSharding, leaf: Any) -> jax.Array:
  """Put a leaf onto this process's devices; every process has the same copy of it."""
  if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    implementation = jax.random.key_impl(leaf)
    data = _put_own_copy(sharding, jax.random.key_data(leaf))
    return jax.random.wrap_key_data(data, impl=implementation)
  host = np.asarray(leaf)
  return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def local_indices(size: int) -> np.ndarray:
  """Return the indices of a batch's examples that this process's devices hold.

  Args:
    size: B, the size of the whole batch.

  Returns:
    int [n], sorted, for `put_sharded`: all B where the devices cannot share the batch evenly.
  """
  indices = np.arange(size)
  if not _has_mesh() or size % count():
    return indices
  shards = _batch_sharding().addressable_devices_indices_map((size,)).values()
  return np.unique(np.concatenate([indices[shard] for shard in shards]))


def put_sharded(images: np.ndarray, indices: np.ndarray, size: int) -> jax.Array:
  """Put a batch from the host onto the devices, one shard on each.

  A batch that the devices cannot share evenly is replicated.

  Args:
    images: [n, ...], the examples at `indices`.
    indices: int [n], the result of `local_indices(size)`.
    size: B, the size of the whole batch.

  Returns:
    [B, ...].
  """
  if not _has_mesh() or size % count():
    return put_replicated(images)

  def shard(index):
    return images[np.searchsorted(indices, np.arange(size)[index[0]])]

  return jax.make_array_from_callback((size, *images.shape[1:]), _batch_sharding(), shard)


def _batch_sharding() -> NamedSharding:
  return NamedSharding(jax.sharding.get_mesh(), _SHARDED)


def _has_mesh() -> bool:
  """Return whether the context has a mesh of a `DeviceGroup`."""
  return _AXIS in jax.sharding.get_abstract_mesh().axis_names


def _constrain(tree: Any, spec: PartitionSpec) -> Any:
  return jax.lax.with_sharding_constraint(tree, spec) if _has_mesh() else tree
