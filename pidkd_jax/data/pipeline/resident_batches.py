"""Training batches as a pure function of (seed, step), made where the images live."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax import struct

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.data.pipeline.split import Batches, Split
from pidkd_jax.nn.precision import FLOAT32
from pidkd_jax.parallel import devices


@struct.dataclass
class ResidentBatches(Batches):
  """Batches of a split that lies on the devices as a whole.

  Attributes:
    schedule: what they are.
    images: uint8 [N, H, W, C].
  """

  schedule: Schedule
  images: jax.Array
  traceable = True

  @jax.jit
  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    return self.schedule.finish(self.images[self.schedule.index(order, step)], order, step)

  def programs(self) -> Iterator[jax.stages.Lowered]:
    count = jnp.int32(0)
    yield Schedule.order.lower(self.schedule, count)
    yield ResidentBatches.batch.lower(self, jax.eval_shape(self.schedule.order, count), count)


def make_batches(
  split: Split,
  normalisation: Normalisation,
  key: jax.Array,
  *,
  batch_size: int,
  padding: int,
  flip: bool,
  dtype: jnp.dtype = FLOAT32.dtype,
) -> Batches:
  """The batches of a training split, with what is small about them on the devices.

  Args:
    split: what is trained on.
    normalisation, key, batch_size, padding, flip, dtype: Schedule's fields.
  """
  return split.batches(
    Schedule(
      labels=devices.put_replicated(split.labels),
      normalisation=devices.put_replicated(normalisation.arrays()),
      key=devices.put_replicated(key),
      image_shape=tuple(split.image_shape),
      batch_size=batch_size,
      padding=padding,
      flip=flip,
      dtype=dtype,
    )
  )
