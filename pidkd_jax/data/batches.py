"""Training batches as a pure function of (seed, step), made where the images live."""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from pidkd_jax import devices
from pidkd_jax.data.examples import Batches, Examples
from pidkd_jax.data.schedule import Schedule
from pidkd_jax.precision import EXACT
from pidkd_jax.types import Batch


@struct.dataclass
class Stream(Batches):
  """Batches of a split that lies on the devices as a whole.

  Attributes:
    schedule: what they are.
    images: uint8 [N, H, W, C].
  """

  schedule: Schedule
  images: jax.Array
  traceable = True

  @property
  def nbytes(self) -> int:
    return self.images.size * self.images.dtype.itemsize

  @jax.jit
  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    return self.schedule.finish(self.images[self.schedule.index(order, step)], order, step)

  def programs(self) -> Iterator[jax.stages.Lowered]:
    count = jnp.int32(0)
    yield Schedule.order.lower(self.schedule, count)
    yield Stream.batch.lower(self, jax.eval_shape(self.schedule.order, count), count)


def stream(
  split: Examples,
  mean: Sequence[float],
  std: Sequence[float],
  key: jax.Array,
  *,
  batch_size: int,
  padding: int,
  flip: bool,
  dtype: jnp.dtype = EXACT.dtype,
) -> Batches:
  """The batches of a training split, with what is small about them on the devices.

  Args:
    split: what is trained on.
    mean, std, key, batch_size, padding, flip, dtype: Schedule's fields.
  """
  return split.batches(
    Schedule(
      labels=devices.put(split.labels),
      mean=devices.put(np.asarray(mean, np.float32)),
      std=devices.put(np.asarray(std, np.float32)),
      key=devices.put(key),
      image_shape=tuple(split.image_shape),
      batch_size=batch_size,
      padding=padding,
      flip=flip,
      dtype=dtype,
    )
  )
