"""Training batches of a split whose images stay on disk."""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.batches import Batches
from pidkd_jax.data.pipeline.schedule import Schedule
from pidkd_jax.parallel import devices


class StreamedBatches(Batches):
  """Batches whose images are read from files, ahead of their use.

  The batches of an epoch are read in order from the first step that is asked for. A step out of
  order starts the reading anew, so there is no position to keep beside the step.

  Args:
    schedule: the examples and the augmentation of every step.
    read: yields images uint8 [B, H, W, C] on the devices, for positions int [batches, B].
  """

  traceable = False

  def __init__(self, schedule: Schedule, read: Callable[[np.ndarray], Iterator[jax.Array]]):
    self.schedule = schedule
    self._read = read
    self._images = iter(())
    # The order and the step in its epoch that `_images` goes on with.
    self._order, self._next = None, 0

  def batch(self, order: jax.Array, step: jax.Array | np.int32) -> Batch:
    step_in_epoch = int(step) % self.steps_per_epoch
    if order is not self._order or step_in_epoch != self._next:
      full = np.asarray(order)[: self.steps_per_epoch * self.batch_size]
      self._images = self._read(full.reshape(-1, self.batch_size)[step_in_epoch:])
    images = next(self._images)
    self._order, self._next = order, step_in_epoch + 1
    return self.schedule.finish(images, order, jnp.int32(step))

  def programs(self) -> list[Callable[[], jax.stages.Lowered]]:
    count = jnp.int32(0)
    shape = (self.batch_size, *self.schedule.stored_shape)
    images = devices.sharded_shapes(jax.ShapeDtypeStruct(shape, jnp.uint8))

    def finish() -> jax.stages.Lowered:
      order = devices.replicated_shapes(jax.eval_shape(self.schedule.order, count))
      return Schedule.finish.lower(self.schedule, images, order, count)

    return [functools.partial(Schedule.order.lower, self.schedule, count), finish]
