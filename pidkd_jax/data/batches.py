"""Training batches as a pure function of (seed, step), made where the images live."""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from pidkd_jax import devices
from pidkd_jax.data import augment
from pidkd_jax.normalisation import normalise
from pidkd_jax.precision import EXACT
from pidkd_jax.types import Arrays, Batch


@struct.dataclass
class Stream:
  """A training split on the device with what turns it into batches.

  Attributes:
    images: uint8 [N, H, W, C].
    labels: int32 [N].
    mean: float32 [C], of pixels scaled to [0, 1].
    std: float32 [C], likewise.
    key: PRNG key of order, crops and flips.
    batch_size: B; what an epoch's last batch lacks is dropped with it (each epoch has another
      order, so no example is lost for good).
    padding: pixels of zero padding for the random crop; 0 for none.
    flip: whether images are mirrored at random.
    dtype: of the batches' images.
  """

  images: jax.Array
  labels: jax.Array
  mean: jax.Array
  std: jax.Array
  key: jax.Array
  batch_size: int = struct.field(pytree_node=False)
  padding: int = struct.field(pytree_node=False)
  flip: bool = struct.field(pytree_node=False)
  dtype: jnp.dtype = struct.field(pytree_node=False)

  @property
  def steps_per_epoch(self) -> int:
    return len(self.labels) // self.batch_size

  @jax.jit
  def order(self, epoch: jax.Array) -> jax.Array:
    """The epoch's order of the examples, int32 [N]."""
    return devices.whole(jax.random.permutation(self._key(0, epoch), len(self.labels)))

  @jax.jit
  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    """The batch of a step, counted from the beginning of the training.

    Args:
      order: of the epoch that the step lies in.
      step: int32 scalar.
    """
    first = step % self.steps_per_epoch * self.batch_size
    index = jax.lax.dynamic_slice(order, (first,), (self.batch_size,))
    images = self.images[index]
    crop_key, flip_key = jax.random.split(self._key(1, step))
    if self.padding:
      images = augment.crop(crop_key, images, self.padding)
    if self.flip:
      images = augment.flip(flip_key, images)
    image = normalise(images, self.mean, self.std)
    return devices.split(Batch(image.astype(self.dtype), self.labels[index], index))

  def programs(self) -> Iterator[jax.stages.Lowered]:
    """What makes orders and batches."""
    count = jnp.int32(0)
    yield Stream.order.lower(self, count)
    yield Stream.batch.lower(self, jax.eval_shape(self.order, count), count)

  def _key(self, purpose: int, count: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(self.key, purpose), count)


def stream(
  split: Arrays,
  mean: Sequence[float],
  std: Sequence[float],
  key: jax.Array,
  *,
  batch_size: int,
  padding: int,
  flip: bool,
  dtype: jnp.dtype = EXACT.dtype,
) -> Stream:
  """Puts a training split on the devices, once; the fields are Stream's."""
  return Stream(
    images=devices.put(split.images),
    labels=devices.put(split.labels),
    mean=devices.put(np.asarray(mean, np.float32)),
    std=devices.put(np.asarray(std, np.float32)),
    key=devices.put(key),
    batch_size=batch_size,
    padding=padding,
    flip=flip,
    dtype=dtype,
  )
