"""The examples and the augmentation of every training step, as a pure function of (seed, step)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from pidkd_jax.core.normalisation import Normalisation
from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline import augment
from pidkd_jax.data.pipeline.soft_labels import SoftLabels
from pidkd_jax.nn.image_policies import Policy
from pidkd_jax.parallel import devices


def batch_shapes(
  batch_size: int,
  image_shape: tuple[int, int, int],
  dtype: jnp.dtype,
  soft_labels: SoftLabels | None = None,
  seen_shape: tuple[int, int, int] | None = None,
) -> Batch:
  """Return a training batch as shapes; `seen_shape` is that of the images that the teacher sees."""
  array: Any = jax.ShapeDtypeStruct
  vector = array((batch_size,), jnp.int32)
  soft = soft_labels and array((batch_size, soft_labels.num_classes), jnp.float32)
  larger = None
  if seen_shape not in (None, image_shape):
    larger = array((batch_size, *seen_shape), dtype)
  return Batch(array((batch_size, *image_shape), dtype), vector, vector, soft, larger)


@struct.dataclass
class Schedule:
  """All that determines the batches of a training split, except its images.

  Attributes:
    labels: int32 [N].
    normalisation: float32 arrays on the devices.
    key: PRNG key of order, crops, flips, operations and mixtures.
    stored_shape: (H, W, C) of the images as they are stored.
    seen_shape: (H, W, C) of what the crop takes, which the teacher sees.
    image_shape: (h, w, C) of the students' images, which are resampled from these.
    batch_size: B. An epoch drops the examples that do not fill a batch. Its order differs from
      every other epoch's, so no example is lost for good.
    crop: takes a random part of each stored image.
    flip: whether images are mirrored at random.
    dtype: the type of the batches' images.
    soft_labels: smooths labels and mixes images; None where each image has one class.
    policy: changes the cropped images by random operations; None for none.
  """

  labels: jax.Array
  normalisation: Normalisation
  key: jax.Array
  stored_shape: tuple[int, int, int] = struct.field(pytree_node=False)
  seen_shape: tuple[int, int, int] = struct.field(pytree_node=False)
  image_shape: tuple[int, int, int] = struct.field(pytree_node=False)
  batch_size: int = struct.field(pytree_node=False)
  crop: augment.Crop = struct.field(pytree_node=False)
  flip: bool = struct.field(pytree_node=False)
  dtype: jnp.dtype = struct.field(pytree_node=False)
  soft_labels: SoftLabels | None = struct.field(pytree_node=False, default=None)
  policy: Policy | None = struct.field(pytree_node=False, default=None)

  @property
  def steps_per_epoch(self) -> int:
    """The full batches in an epoch."""
    return len(self.labels) // self.batch_size

  @property
  def shapes(self) -> Batch:
    """A batch as shapes."""
    return batch_shapes(
      self.batch_size, self.image_shape, self.dtype, self.soft_labels, self.seen_shape
    )

  @jax.jit
  def order(self, epoch: jax.Array) -> jax.Array:
    """Return the epoch's order of the examples, int32 [N]."""
    order = jax.random.permutation(self._key(0, epoch), len(self.labels))
    return devices.replicate(order.astype(jnp.int32))

  def index(self, order: jax.Array, step: jax.Array) -> jax.Array:
    """Return the positions of a step's examples in the split, int32 [B]."""
    first = step % self.steps_per_epoch * self.batch_size
    return jax.lax.dynamic_slice(order, (first,), (self.batch_size,))

  @jax.jit
  def finish(self, images: jax.Array, order: jax.Array, step: jax.Array) -> Batch:
    """Make a step's batch from its stored images.

    Args:
      images: uint8 [B, H, W, C], the images at `index(order, step)`.
      order: int32 [N], the epoch's order.
      step: int32 scalar.
    """
    index = self.index(order, step)
    crop_key, flip_key = jax.random.split(self._key(1, step))
    images = self.crop(crop_key, images, self.seen_shape[:2])
    if self.flip:
      images = augment.flip(flip_key, images)
    if self.policy:
      images = self.policy(self._key(3, step), images)
    image, soft = self.normalisation(images), None
    if self.soft_labels:
      image, soft = self.soft_labels(self._key(2, step), image, self.labels[index])
    larger = None
    if self.seen_shape != self.image_shape:
      larger = image.astype(self.dtype)
      image = augment.resample(image, self.image_shape[:2])
    image = image.astype(self.dtype)
    return devices.shard_batch(Batch(image, self.labels[index], index, soft, larger))

  def _key(self, purpose: int, count: jax.Array) -> jax.Array:
    """Return the key of a purpose, for an epoch or a step.

    The purposes are an epoch's order (0), and a step's crops (1), mixture (2) and operations (3).
    """
    return jax.random.fold_in(jax.random.fold_in(self.key, purpose), count)
