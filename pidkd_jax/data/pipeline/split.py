"""What a split and its batches offer, wherever the images lie."""

import abc
from collections.abc import Iterable, Iterator
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from pidkd_jax.core.types import Batch
from pidkd_jax.data.pipeline.schedule import Schedule


class Batches(abc.ABC):
  """The batches of a training.

  Attributes:
    schedule: all that makes them but the images.
    traceable: whether `batch` can be part of a larger program, so that one compiled call can run
      several steps.
  """

  schedule: Schedule
  traceable: bool

  @property
  def steps_per_epoch(self) -> int:
    return self.schedule.steps_per_epoch

  @property
  def batch_size(self) -> int:
    return self.schedule.batch_size

  @property
  def dtype(self) -> jnp.dtype:
    return self.schedule.dtype

  @property
  def shapes(self) -> Batch:
    """A batch as shapes."""
    return self.schedule.shapes

  def order(self, epoch: jax.Array) -> jax.Array:
    """The epoch's order of the examples, int32 [N]."""
    return self.schedule.order(epoch)

  @abc.abstractmethod
  def batch(self, order: jax.Array, step: jax.Array) -> Batch:
    """The batch of a step, counted from the beginning of the training.

    Args:
      order: of the epoch that the step lies in.
      step: int32 scalar.

    Raises:
      UserError: it is read from files, and they are damaged.
    """

  @abc.abstractmethod
  def programs(self) -> Iterator[jax.stages.Lowered]:
    """What makes orders and batches."""


class Split(Protocol):
  """A split: its labels, int32 [N], in memory and its images, uint8 [H, W, C], somewhere."""

  labels: np.ndarray

  @property
  def image_shape(self) -> tuple[int, int, int]: ...

  def __len__(self) -> int: ...

  def take(self, index: np.ndarray) -> 'Split':
    """Some of them, by their places or by a mask [N]."""

  def blocks(self, size: int) -> Iterable[jax.Array]:
    """All images in order on the devices, uint8 [size, H, W, C] each; zeros fill the last one up.

    Raises:
      UserError: by its iterators, as `Batches.batch`.
    """

  def held_bytes(self, batch_size: int) -> int:
    """Return the bytes of images that a training with such batches holds at once."""

  def batches(self, schedule: Schedule) -> Batches:
    """What a training on them sees."""
