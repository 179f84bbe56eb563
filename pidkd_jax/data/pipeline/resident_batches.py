"""Training batches of a split whose images are on the devices."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.parallel import devices


@struct.dataclass
class ResidentBatches(Batches):
  """Batches that the devices gather from images that they hold.

  Attributes:
    schedule: the examples and the augmentation of every step.
    images: uint8 [N, H * W * C], replicated. An image is a row, because a TPU would copy all images
      of [N, H, W, C] into another layout before it takes some of them.
  """

  schedule: Schedule
  images: jax.Array
  traceable = True

  @jax.jit
  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    images = self.images[self.schedule.index(order, step)]
    return self.schedule.finish(images.reshape(-1, *self.schedule.stored_shape), order, step)

  def programs(self) -> list[Callable[[], jax.stages.Lowered]]:
    count = jnp.int32(0)

    def batch() -> jax.stages.Lowered:
      order = devices.replicated_shapes(jax.eval_shape(self.schedule.order, count))
      return ResidentBatches.batch.lower(self, order, count)

    return [functools.partial(Schedule.order.lower, self.schedule, count), batch]
